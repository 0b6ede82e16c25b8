// A per-row array borrows: the numbers of a temporary are gone before the call.
#include <distill/core/batch.hpp>

#include <vector>

distill::batch<float> rows(const std::vector<float>& weights) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return {.weights = weights};
#else
    static_cast<void>(weights);
    // expect: distill: a per-row array borrows its numbers: those of a temporary are gone before the call
    return {.weights = std::vector<float>{1.0f, 0.0f}};
#endif
}
