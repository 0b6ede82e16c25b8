// A view has one stride between its rows: rows that are picked one by one have none.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

using tensor = xt::xtensor<float, 2>;

auto call(const tensor& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(xt::view(logits, xt::range(0, 3), xt::all()));
#else
    // expect: distill: this xtensor expression is no memory with strides
    return distill::view_of(xt::view(logits, xt::keep(0, 1, 4), xt::all()));
#endif
}
