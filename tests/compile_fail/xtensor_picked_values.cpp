// A per-row array is contiguous: elements that are picked one by one are not.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

using tensor = xt::xtensor<float, 1>;

auto call(const tensor& weights) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::values_of(xt::view(weights, xt::range(0, 3)));
#else
    // expect: distill: this xtensor expression is no memory with strides
    return distill::values_of(xt::view(weights, xt::keep(0, 1, 4)));
#endif
}
