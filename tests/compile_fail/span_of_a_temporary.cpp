// A view borrows: a temporary vector ends before the view does.
#include <distill/interop/span.hpp>

#include <vector>

distill::logits_view<float> call(std::vector<float>& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(logits, 2, 3);
#else
    // expect: distill: a temporary container owns its memory and ends before the view does
    return distill::view_of(std::vector<float>(logits), 2, 3);
#endif
}
