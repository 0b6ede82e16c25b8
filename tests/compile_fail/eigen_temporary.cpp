// A view borrows: a temporary matrix ends before the view does.
#include <distill/interop/eigen.hpp>

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

distill::logits_view<const float> call(const matrix& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(logits);
#else
    // expect: distill: a temporary matrix owns its memory and ends before the view does
    return distill::view_of(matrix(logits));
#endif
}
