// A column of a row-major matrix has a stride between its elements.
#include <distill/interop/eigen.hpp>

using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

distill::row_values call(const matrix& table) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::values_of(table.row(0));
#else
    // expect: distill: the elements of a per-row array are contiguous
    return distill::values_of(table.col(0));
#endif
}
