#include "floor.hpp"

void subtract(const float* z, const float* w, float* g, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = z[i] - w[i];
}
