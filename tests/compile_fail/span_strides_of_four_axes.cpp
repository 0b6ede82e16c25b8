// The same with strides.
#include <distill/interop/span.hpp>

#include <vector>

distill::logits_view<const float> call(const std::vector<float>& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(logits, {2, 5, 12}, {60, 12, 1});
#else
    // expect: distill: the shape of logits is {rows, vocabulary} or {batch, time, vocabulary}
    return distill::view_of(logits, {2, 2, 5, 12}, {120, 60, 12, 1});
#endif
}
