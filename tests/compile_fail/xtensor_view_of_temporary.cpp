// A view of a temporary tensor has its memory, and ends with it.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

using tensor = xt::xtensor<float, 2>;

auto call(const tensor& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(xt::view(logits, xt::all(), xt::range(0, 3)));
#else
    // expect: distill: a temporary tensor owns its memory and ends before the view does
    return distill::view_of(xt::view(tensor(logits), xt::all(), xt::range(0, 3)));
#endif
}
