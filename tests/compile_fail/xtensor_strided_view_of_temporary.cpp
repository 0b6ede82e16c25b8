// The same for a strided view.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>

using tensor = xt::xtensor<float, 2>;

auto call(const tensor& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(xt::strided_view(logits, {xt::range(0, 2), xt::all()}));
#else
    // expect: distill: a temporary tensor owns its memory and ends before the view does
    return distill::view_of(xt::strided_view(tensor(logits), {xt::range(0, 2), xt::all()}));
#endif
}
