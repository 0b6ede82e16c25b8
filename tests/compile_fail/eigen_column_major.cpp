// The vocabulary is contiguous: a column-major matrix is refused.
#include <distill/interop/eigen.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#else
using matrix = Eigen::MatrixXf;
#endif

distill::logits_view<const float> call(const matrix& logits) {
    // expect: distill: a column-major matrix has its vocabulary scattered over memory
    return distill::view_of(logits);
}
