/// Eigen's matrices, maps and blocks as views; its vectors as per-row arrays. No copy.
#pragma once

#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <Eigen/Core>

#include <type_traits>

namespace distill::inline DISTILL_ABI {

namespace detail {

template <class Derived>
void takes_dense(const Eigen::DenseBase<Derived>&);

template <class Matrix>
concept eigen_dense = requires(Matrix& m) {
    takes_dense(m);
    m.data();
    m.outerStride();
    m.innerStride();
};

template <class Plain>
inline constexpr bool eigen_owns_memory = std::is_base_of_v<Eigen::PlainObjectBase<Plain>, Plain>;

}  // namespace detail

/// The view of a row-major matrix, map, reference or block: its rows are rows, its columns the vocabulary. Mutable where
/// the expression is. The expression's memory has to outlive the view; its columns have to be contiguous.
template <detail::eigen_dense Matrix>
[[nodiscard]] auto view_of(Matrix&& matrix) {
    using plain = std::remove_cvref_t<Matrix>;
    static_assert(plain::IsRowMajor || plain::IsVectorAtCompileTime,
                  "distill: a column-major matrix has its vocabulary scattered over memory; declare it "
                  "Eigen::Matrix<T, Dynamic, Dynamic, Eigen::RowMajor>");
    static_assert(plain::IsRowMajor, "distill: a column vector is no row of logits; use a row-major matrix or a row vector");
    static_assert(plain::InnerStrideAtCompileTime == 1,
                  "distill: the entries of a row have to be contiguous: the inner stride is 1");
    static_assert(std::is_lvalue_reference_v<Matrix> || !detail::eigen_owns_memory<plain>,
                  "distill: a temporary matrix owns its memory and ends before the view does");
    return logits_view(matrix.data(), matrix.rows(), matrix.cols(), matrix.outerStride());
}

/// Weights, advantages, log-probabilities or token ids from a contiguous vector.
template <detail::eigen_dense Vector>
[[nodiscard]] auto values_of(Vector&& vector) {
    using plain = std::remove_cvref_t<Vector>;
    static_assert(plain::IsVectorAtCompileTime, "distill: one number per row is a vector");
    static_assert(plain::InnerStrideAtCompileTime == 1, "distill: the elements of a per-row array are contiguous");
    static_assert(std::is_lvalue_reference_v<Vector> || !detail::eigen_owns_memory<plain>,
                  "distill: a temporary vector owns its memory and ends before the array does");
    if constexpr (std::is_integral_v<typename plain::Scalar>)
        return row_indices(vector.data(), vector.size());
    else
        return row_values(vector.data(), vector.size());
}

}  // namespace distill::inline DISTILL_ABI
