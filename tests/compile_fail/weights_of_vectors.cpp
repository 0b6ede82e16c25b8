// Weights are one number per row; ragged rows become one array and sequence_offsets.
#include <distill/core/batch.hpp>

#include <vector>

#if defined(DISTILL_TEST_GOOD_TWIN)
using per_row = double;
#else
using per_row = std::vector<double>;
#endif

distill::batch<float> call(const std::vector<per_row>& weights) {
    // expect: distill: a per-row array holds float or double
    return {.weights = weights};
}
