// A batch borrows its arrays: a temporary vector ends before the batch is read.
#include <distill/core/batch.hpp>

#include <vector>

std::vector<float> make_mask();
const std::vector<long>& kept_tokens();

distill::batch<float> call() {
#if defined(DISTILL_TEST_GOOD_TWIN)
    static const std::vector<float> mask = make_mask();
    return {.weights = mask, .tokens = kept_tokens()};
#else
    // expect: distill: a temporary container owns its memory and may end before the array is read; name it first
    return {.weights = make_mask()};
#endif
}
