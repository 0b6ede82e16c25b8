/// The products of a head by Eigen.
#pragma once

#include <distill/backend/executor/first_exception.hpp>
#include <distill/backend/executor/serial.hpp>
#include <distill/head/detail/weight_block.hpp>
#include <distill/head/matrix_product.hpp>
#include <distill/head/matrix_view.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

/// Eigen multiplies, in the caller's thread or in those of an executor: `eigen_product{pool}`. Weights of any element type;
/// 16 bits are widened a block at a time, in memory of the thread's own.
///
/// Speed: Eigen's loops are compiled with the flags of the translation unit. Flags for the machine, such as -march=native,
/// or a BLAS that chooses at run time (cblas_product.hpp) are at least about twice as fast as plain -O2 on x86-64.
/// Translation units with different flags that both use Eigen are not for one program: Eigen's functions have one name
/// under all flags.
///
/// Bits: those of a row depend on that row alone; they are the same for every executor and number of threads. If Eigen has
/// threads of its own (-fopenmp), their number may change bits.
template <class Executor = serial>
struct eigen_product {
    [[no_unique_address]] Executor executor{};

    constexpr eigen_product() = default;
    constexpr explicit eigen_product(Executor e) : executor(std::move(e)) {}

    template <class Real, class Weight>
    void logits(matrix_view<const Real> h, matrix_view<const Weight> w, matrix_view<Real> z) const {
        each_block(w.rows, rows_of_block, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
            const detail::weight_block<Real, Weight> block(w, first, count, 0, w.columns);
            mapped(z, 0, z.rows, first, count).noalias() = mapped(h) * mapped(block.view()).transpose();
        });
    }

    template <class Real, class Weight>
    void to_hidden(matrix_view<const Real> g, matrix_view<const Weight> w, matrix_view<Real> dh) const {
        each_block(w.columns, columns_of_block, [&](std::ptrdiff_t left, std::ptrdiff_t width) {
            auto out = mapped(dh, 0, dh.rows, left, width);
            if constexpr (std::is_same_v<Real, Weight>) {
                out.noalias() = mapped(g) * mapped(w, 0, w.rows, left, width);
            } else {
                out.setZero();
                for (std::ptrdiff_t first = 0; first < w.rows; first += rows_of_block) {
                    const std::ptrdiff_t count = (std::min)(rows_of_block, w.rows - first);
                    const detail::weight_block<Real, Weight> block(w, first, count, left, width);
                    out.noalias() += mapped(g, 0, g.rows, first, count) * mapped(block.view());
                }
            }
        });
    }

    template <class Real>
    void to_weight(matrix_view<const Real> g, matrix_view<const Real> h, matrix_view<Real> dw) const {
        each_block(dw.rows, rows_of_block, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
            mapped(dw, first, count, 0, dw.columns).noalias() += mapped(g, 0, g.rows, first, count).transpose() * mapped(h);
        });
    }

private:
    static constexpr std::ptrdiff_t rows_of_block = 512, columns_of_block = 256;

    template <class Element>
    static auto mapped(const matrix_view<Element>& m, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t left,
                       std::ptrdiff_t width) {
        using plain = Eigen::Matrix<std::remove_const_t<Element>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        using matrix = std::conditional_t<std::is_const_v<Element>, const plain, plain>;
        return Eigen::Map<matrix, 0, Eigen::OuterStride<>>(m.row(first) + left, rows, width,
                                                           Eigen::OuterStride<>(m.row_stride));
    }
    template <class Element>
    static auto mapped(const matrix_view<Element>& m) {
        return mapped(m, 0, m.rows, 0, m.columns);
    }

    /// body(first, count) for every block, from the executor's threads.
    template <class Body>
    void each_block(std::ptrdiff_t size, std::ptrdiff_t block, const Body& body) const {
        detail::first_exception exception;
        executor((size + block - 1) / block, [&](std::ptrdiff_t b) {
            exception.guard(b, [&] { body(b * block, (std::min)(block, size - b * block)); });
        });
        exception.rethrow();
    }
};

eigen_product() -> eigen_product<>;

}  // namespace distill::inline DISTILL_ABI
