// The floors of every ratio: what memory alone costs, as a user would write it by hand for the machine it runs on.
#pragma once

#include <cstddef>

namespace bench {

// g = z - w: two reads and one write per entry.
void subtract(const float* z, const float* w, float* g, std::size_t count);

// g = z: one read and one write.
void copy(const float* z, float* g, std::size_t count);

// sum of z + w: two reads.
float read(const float* z, const float* w, std::size_t count);

}  // namespace bench
