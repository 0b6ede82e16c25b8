// A view reads memory: a sum that is not evaluated is refused.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>

using tensor = xt::xtensor<float, 2>;

auto call(const tensor& a, const tensor& b, tensor& sum) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    sum = a + b;
    return distill::view_of(sum);
#else
    static_cast<void>(sum);
    // expect: distill: this xtensor expression is no memory with strides
    return distill::view_of(a + b);
#endif
}
