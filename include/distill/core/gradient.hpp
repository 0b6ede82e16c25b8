/// Where the gradient goes, and how.
#pragma once

#include <distill/core/logits_view.hpp>

#include <concepts>

namespace distill::inline DISTILL_ABI {

/// The gradient's destination. By default every entry of every row is overwritten (masked rows: zeros) and padding columns
/// are left alone. The buffer may be the student's own (same data, stride and type); any other overlap is an error.
template <class Element>
struct gradient {
    logits_view<Element> view{};
    bool adds = false;            ///< add to what is there; masked rows stay as they are
    bool zeroes_padding = false;  ///< write zeros to the columns between vocabulary and row_stride

    constexpr gradient() = default;
    constexpr gradient(logits_view<Element> destination) noexcept : view(destination) {}
    template <std::integral... Extents>
        requires(sizeof...(Extents) == 2 || sizeof...(Extents) == 3)
    constexpr gradient(Element* data, Extents... extents) noexcept : view(data, extents...) {}
};

/// `f(in, accumulate(view))` adds the gradient to the buffer instead of overwriting it.
template <class Element>
[[nodiscard]] constexpr gradient<Element> accumulate(gradient<Element> destination) noexcept {
    destination.adds = true;
    return destination;
}
template <class Element>
[[nodiscard]] constexpr gradient<Element> accumulate(logits_view<Element> view) noexcept {
    return accumulate(gradient<Element>(view));
}

/// `f(in, zero_padding(view))` also writes zeros to the padding columns.
template <class Element>
[[nodiscard]] constexpr gradient<Element> zero_padding(gradient<Element> destination) noexcept {
    destination.zeroes_padding = true;
    return destination;
}
template <class Element>
[[nodiscard]] constexpr gradient<Element> zero_padding(logits_view<Element> view) noexcept {
    return zero_padding(gradient<Element>(view));
}

}  // namespace distill::inline DISTILL_ABI
