#include "floor.hpp"

namespace bench {

void subtract(const float* z, const float* w, float* g, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = z[i] - w[i];
}

void copy(const float* z, float* g, std::size_t count) {
    // Not memcpy, which bypasses the caches for blocks of this size.
    for (std::size_t i = 0; i < count; ++i) g[i] = z[i] + 0.5f;
}

float read(const float* z, const float* w, std::size_t count) {
    // Independent sums: one chain of additions would be slower than memory.
    constexpr std::size_t chains = 128;
    float sums[chains] = {};
    for (std::size_t i = 0; i + chains <= count; i += chains)
        for (std::size_t c = 0; c < chains; ++c) sums[c] += z[i + c] + w[i + c];
    float sum = 0.0f;
    for (const float s : sums) sum += s;
    return sum;
}

}  // namespace bench
