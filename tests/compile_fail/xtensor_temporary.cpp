// A view borrows: a temporary tensor ends before the view does.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>

using tensor = xt::xtensor<float, 2>;

distill::logits_view<const float> call(const tensor& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(logits);
#else
    // expect: distill: a temporary tensor owns its memory and ends before the view does
    return distill::view_of(tensor(logits));
#endif
}
