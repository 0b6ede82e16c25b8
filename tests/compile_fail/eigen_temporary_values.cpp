// A per-row array borrows: a temporary vector ends before the array does.
#include <distill/interop/eigen.hpp>

distill::row_values call(const Eigen::VectorXf& weights) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::values_of(weights);
#else
    // expect: distill: a temporary vector owns its memory and ends before the array does
    return distill::values_of(Eigen::VectorXf(2.0f * weights));
#endif
}
