/// Who multiplies matrices: the caller's choice.
#pragma once

#include <distill/core/abi.hpp>
#include <distill/head/linear_head.hpp>
#include <distill/head/matrix_view.hpp>

#include <concepts>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// The elements in which hidden states are handed to a product.
template <class Product, class Hidden, class Real>
struct operand_of {
    using type = Real;
};
template <class Product, class Hidden, class Real>
    requires requires { typename Product::template operand<Hidden>; }
struct operand_of<Product, Hidden, Real> {
    using type = typename Product::template operand<Hidden>;
};

}  // namespace detail

/// The three products of a linear head. Matrices are row-major with strides of their own, and none is empty. Sums are in
/// Real, float or double; Weight is the type that the weights are stored in.
///
///     product.logits(h, w, z)        z = h w^T       h [n, d], w [v, d], z [n, v]
///     product.to_hidden(g, w, dh)    dh = g w        g [n, v], w [v, d], dh [n, d]
///     product.to_weight(g, h, dw)    dw += g^T h     g [n, v], h [n, d], dw [v, d]
///
/// n is a multiple of 64 in the first two, and 64 in the third. Where the bits of a row of the first two depend on that row
/// alone, a call through heads has the same bits for every number of rows at once.
///
/// h has the elements Real, unless the product names another type: `template <class Hidden> using operand`, in which hidden
/// states of type Hidden are handed to it.
template <class P, class Hidden, class Weight = Hidden, class Real = detail::logit_of<Hidden, Weight>>
concept matrix_product = std::copy_constructible<P> &&
                         requires(const P& product, matrix_view<const typename detail::operand_of<P, Hidden, Real>::type> h,
                                  matrix_view<const Weight> w, matrix_view<const Real> g, matrix_view<Real> out) {
                             product.logits(h, w, out);
                             product.to_hidden(g, w, out);
                             product.to_weight(g, h, out);
                         };

}  // namespace distill::inline DISTILL_ABI
