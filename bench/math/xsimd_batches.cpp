// xsimd's functions of batches.
#include "../peers/formulas.hpp"

#include <xsimd/xsimd.hpp>

namespace bench {
namespace {

using batch = xsimd::batch<float>;

void exp_of(const float* x, float* y, std::size_t count) {
    for (std::size_t i = 0; i < count; i += batch::size) xsimd::exp(batch::load_unaligned(x + i)).store_unaligned(y + i);
}
void log_of(const float* x, float* y, std::size_t count) {
    for (std::size_t i = 0; i < count; i += batch::size) xsimd::log(batch::load_unaligned(x + i)).store_unaligned(y + i);
}
void expm1_of(const float* x, float* y, std::size_t count) {
    for (std::size_t i = 0; i < count; i += batch::size) xsimd::expm1(batch::load_unaligned(x + i)).store_unaligned(y + i);
}

}  // namespace

DISTILL_BENCH_VISIBLE functions DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, exp_of, log_of, expm1_of}; }

}  // namespace bench
