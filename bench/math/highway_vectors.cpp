// Highway's functions of vectors, for the instruction set of the flags.
#include "../peers/formulas.hpp"

// The flags choose the instruction set. Without this, Highway 1.0.3 refuses processors whose set it does not know by name.
#define HWY_COMPILE_ONLY_STATIC
#include <hwy/highway.h>
// It needs highway.h.
#include <hwy/contrib/math/math-inl.h>

namespace bench {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using tag = hn::ScalableTag<float>;

void exp_of(const float* x, float* y, std::size_t count) {
    const tag d;
    for (std::size_t i = 0; i < count; i += hn::Lanes(d)) hn::StoreU(hn::Exp(d, hn::LoadU(d, x + i)), d, y + i);
}
void log_of(const float* x, float* y, std::size_t count) {
    const tag d;
    for (std::size_t i = 0; i < count; i += hn::Lanes(d)) hn::StoreU(hn::Log(d, hn::LoadU(d, x + i)), d, y + i);
}
void expm1_of(const float* x, float* y, std::size_t count) {
    const tag d;
    for (std::size_t i = 0; i < count; i += hn::Lanes(d)) hn::StoreU(hn::Expm1(d, hn::LoadU(d, x + i)), d, y + i);
}

}  // namespace

DISTILL_BENCH_VISIBLE functions DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, exp_of, log_of, expm1_of}; }

}  // namespace bench
