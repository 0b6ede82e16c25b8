/// A linear head, and where its gradients go.
#pragma once

#include <distill/core/logits_view.hpp>
#include <distill/head/matrix_view.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// Logits as a model makes them: z = H W^T + 1 b^T, with H the hidden states [rows, d], W the weights [vocabulary, d] and b
/// the bias [vocabulary], which may be absent.
///
///     const distill::linear_head<float> student{.hidden = {h, rows, d}, .weight = {w, vocabulary, d}, .bias = b};
///
/// Element types: float, double, or a 16-bit type (core/storage_format.hpp).
template <class Hidden, class Weight = Hidden>
struct linear_head {
    matrix_view<const Hidden> hidden{};
    matrix_view<const Weight> weight{};
    vector_view<const Weight> bias{};
};

namespace detail {

/// The type of the logits of heads, and of sums: double where one of their elements is double, else float.
template <class... Elements>
using logit_of = std::conditional_t<(std::is_same_v<Elements, double> || ...), double, float>;

}  // namespace detail

/// Where the gradient of a matrix goes: by default every entry is overwritten. Absent: it is not computed.
template <class Element>
struct matrix_gradient {
    matrix_view<Element> view{};
    bool adds = false;  ///< add to what is there

    constexpr matrix_gradient() = default;
    constexpr matrix_gradient(matrix_view<Element> destination) noexcept : view(destination) {}
    template <std::integral... Extents>
        requires(sizeof...(Extents) == 2 || sizeof...(Extents) == 3)
    constexpr matrix_gradient(Element* data, Extents... extents) noexcept : view(data, extents...) {}
};

/// The same for a vector.
template <class Element>
struct vector_gradient {
    vector_view<Element> view{};
    bool adds = false;  ///< add to what is there

    constexpr vector_gradient() = default;
    template <class Destination>
        requires std::convertible_to<Destination, vector_view<Element>>
    constexpr vector_gradient(Destination&& destination) noexcept : view(destination) {}
    template <std::integral Size>
    constexpr vector_gradient(Element* data, Size size) noexcept : view(data, size) {}
};

/// `{.weight = accumulate(view)}` adds the gradient to the matrix instead of overwriting it: for micro-batches, and for
/// weights that are tied to another layer.
template <class Element>
[[nodiscard]] constexpr matrix_gradient<Element> accumulate(matrix_view<Element> view) noexcept {
    matrix_gradient<Element> destination(view);
    destination.adds = true;
    return destination;
}
template <class Element>
[[nodiscard]] constexpr vector_gradient<Element> accumulate(vector_view<Element> view) noexcept {
    vector_gradient<Element> destination(view);
    destination.adds = true;
    return destination;
}

/// The gradients that a call writes; those that are absent are neither computed nor given memory. Sum is float, or double
/// where one of the heads has doubles: gradients of weights and bias are summed in it, whatever the type of the weights.
template <class Hidden, class Sum = detail::logit_of<Hidden>>
struct head_gradients {
    matrix_gradient<Hidden> hidden{};  ///< dL/dH, [rows, d]; rows that are masked: zeros, or as they are where it adds
    matrix_gradient<Sum> weight{};     ///< dL/dW, [vocabulary, d]
    vector_gradient<Sum> bias{};       ///< dL/db, [vocabulary]
};

}  // namespace distill::inline DISTILL_ABI
