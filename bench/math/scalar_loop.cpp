// The standard library's functions in a loop; with -ffast-math g++ calls glibc's vectors of them.
#include "../peers/formulas.hpp"

#include <cmath>

namespace bench {
namespace {

void exp_of(const float* x, float* __restrict y, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) y[i] = std::exp(x[i]);
}
void log_of(const float* x, float* __restrict y, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) y[i] = std::log(x[i]);
}
void expm1_of(const float* x, float* __restrict y, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) y[i] = std::expm1(x[i]);
}

}  // namespace

DISTILL_BENCH_VISIBLE functions DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, exp_of, log_of, expm1_of}; }

}  // namespace bench
