/// std::mdspan and every type with its members as views and per-row arrays. No copy, and no mdspan header.
#pragma once

#include <distill/interop/detail/tensor_axes.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// rank(), extent(axis), stride(axis) and data_handle(), with the meaning that C++23 gives them.
template <class Span>
concept mdspan_like = requires(const Span& span, std::size_t axis) {
    typename Span::element_type;
    { Span::rank() } -> std::convertible_to<std::size_t>;
    { span.extent(axis) } -> std::integral;
    { span.stride(axis) } -> std::integral;
    span.data_handle();
};

/// Element (i, j) is data_handle()[i * stride(0) + j * stride(1)]: the handle is a pointer, a reference refers to an
/// element.
template <class Span>
constexpr bool reads_memory() {
    using element = typename Span::element_type;
    if constexpr (requires { typename Span::reference; })
        if (!std::is_same_v<typename Span::reference, element&>) return false;
    return std::is_same_v<std::remove_cvref_t<decltype(std::declval<const Span&>().data_handle())>, element*>;
}
template <class Span>
constexpr bool has_strides() {
    if constexpr (requires { Span::is_always_strided(); })
        return Span::is_always_strided();
    else
        return true;
}

template <class Span>
tensor_axes axes_of_mdspan(const Span& span) {
    return axes_of(
        static_cast<std::ptrdiff_t>(Span::rank()), [&](std::size_t axis) { return span.extent(axis); },
        [&](std::size_t axis) { return span.stride(axis); });
}

}  // namespace detail

/// The view of an mdspan [rows, vocabulary] or [batch, time, vocabulary] of any strided layout, mutable where its elements
/// are. Errors: a vocabulary that is not contiguous, leading axes that do not run as one.
template <detail::mdspan_like Span>
[[nodiscard]] auto view_of(const Span& span) {
    static_assert(Span::rank() == 2 || Span::rank() == 3,
                  "distill: an mdspan of logits has rank 2, [rows, vocabulary], or 3, [batch, time, vocabulary]");
    static_assert(detail::reads_memory<Span>(),
                  "distill: the accessor of this mdspan is not the default one, and a view reads memory, no proxies");
    static_assert(detail::has_strides<Span>(),
                  "distill: the layout of this mdspan has no strides, and a view has one for its rows");
    return detail::logits_of<typename Span::element_type>("an mdspan", span.data_handle(), detail::axes_of_mdspan(span));
}

/// Weights, advantages, log-probabilities or token ids from a contiguous mdspan [rows] or [batch, time].
template <detail::mdspan_like Span>
[[nodiscard]] auto values_of(const Span& span) {
    static_assert(Span::rank() == 1 || Span::rank() == 2,
                  "distill: an mdspan of per-row numbers has rank 1, [rows], or 2, [batch, time]");
    static_assert(
        detail::reads_memory<Span>(),
        "distill: the accessor of this mdspan is not the default one, and a per-row array reads memory, no proxies");
    static_assert(detail::has_strides<Span>(),
                  "distill: the layout of this mdspan has no strides, and a per-row array has one of 1");
    using array = std::conditional_t<std::is_integral_v<typename Span::element_type>, row_indices, row_values>;
    return detail::numbers_of<array>("an mdspan", span.data_handle(), detail::axes_of_mdspan(span));
}

}  // namespace distill::inline DISTILL_ABI
