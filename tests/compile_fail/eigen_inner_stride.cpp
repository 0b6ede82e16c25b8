// The entries of a row are contiguous.
#include <distill/interop/eigen.hpp>

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#if defined(DISTILL_TEST_GOOD_TWIN)
using map = Eigen::Map<const matrix, 0, Eigen::OuterStride<>>;
#else
using map = Eigen::Map<const matrix, 0, Eigen::Stride<Eigen::Dynamic, 2>>;
#endif

distill::logits_view<const float> call(const map& logits) {
    // expect: distill: the entries of a row have to be contiguous: the inner stride is 1
    return distill::view_of(logits);
}
