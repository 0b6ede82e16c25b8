/// The products of a head by a BLAS of the caller's.
#pragma once

#include <distill/head/detail/weight_block.hpp>
#include <distill/head/matrix_product.hpp>
#include <distill/head/matrix_view.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// Any CBLAS multiplies: OpenBLAS, BLIS, MKL. The program includes its header and hands over its function:
///
///     distill::through_heads f{loss, distill::cblas_product{cblas_sgemm}};
///
/// With cblas_sgemm logits and sums are float, with cblas_dgemm double. Weights of another type are converted a block at a
/// time, in memory of the thread's own. Threads are those of the BLAS.
///
/// Bits: OpenBLAS's rows depend neither on their number nor on its threads, for heads of more than 15 625 weights: products
/// of up to a million multiplications, of 64 rows and fewer weights, have kernels of their own. What another BLAS promises
/// is its own.
template <class Layout, class Transpose, class Integer, class Sum>
struct cblas_product {
    using function = void (*)(Layout, Transpose, Transpose, Integer, Integer, Integer, Sum, const Sum*, Integer, const Sum*,
                              Integer, Sum, Sum*, Integer);

    function gemm;

    constexpr explicit cblas_product(function of_blas) : gemm(of_blas) {}

    template <class Weight>
    void logits(matrix_view<const Sum> h, matrix_view<const Weight> w, matrix_view<Sum> z) const {
        each_block<Weight>(w.rows, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
            const detail::weight_block<Sum, Weight> block(w, first, count, 0, w.columns);
            multiply(as_is, transposed, z.rows, count, h.columns, h, block.view(), Sum(0),
                     matrix_view<Sum>{z.data + first, z.rows, count, z.row_stride});
        });
    }

    template <class Weight>
    void to_hidden(matrix_view<const Sum> g, matrix_view<const Weight> w, matrix_view<Sum> dh) const {
        each_block<Weight>(w.rows, [&](std::ptrdiff_t first, std::ptrdiff_t count) {
            const detail::weight_block<Sum, Weight> block(w, first, count, 0, w.columns);
            multiply(as_is, as_is, dh.rows, dh.columns, count,
                     matrix_view<const Sum>{g.data + first, g.rows, count, g.row_stride}, block.view(),
                     first == 0 ? Sum(0) : Sum(1), dh);
        });
    }

    void to_weight(matrix_view<const Sum> g, matrix_view<const Sum> h, matrix_view<Sum> dw) const {
        multiply(transposed, as_is, dw.rows, dw.columns, h.rows, g, h, Sum(1), dw);
    }

private:
    static constexpr std::ptrdiff_t rows_of_block = 512;
    static constexpr auto row_major = static_cast<Layout>(101);
    static constexpr auto as_is = static_cast<Transpose>(111), transposed = static_cast<Transpose>(112);

    void multiply(Transpose of_a, Transpose of_b, std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t summands,
                  const matrix_view<const Sum>& a, const matrix_view<const Sum>& b, Sum beta,
                  const matrix_view<Sum>& c) const {
        gemm(row_major, of_a, of_b, static_cast<Integer>(rows), static_cast<Integer>(columns),
             static_cast<Integer>(summands), Sum(1), a.data, static_cast<Integer>(a.row_stride), b.data,
             static_cast<Integer>(b.row_stride), beta, c.data, static_cast<Integer>(c.row_stride));
    }

    /// All weights at once where they are not converted.
    template <class Weight, class Body>
    static void each_block(std::ptrdiff_t size, const Body& body) {
        const std::ptrdiff_t block = std::is_same_v<Sum, Weight> ? size : rows_of_block;
        for (std::ptrdiff_t first = 0; first < size; first += block) body(first, (std::min)(block, size - first));
    }
};

}  // namespace distill::inline DISTILL_ABI
