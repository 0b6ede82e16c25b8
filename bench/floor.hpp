// The floor of every ratio: what memory alone costs.
#pragma once

#include <cstddef>

// g = z - w: two reads and one write per entry.
void subtract(const float* z, const float* w, float* g, std::size_t count);
