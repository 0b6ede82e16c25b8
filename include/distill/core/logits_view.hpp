/// A row-major matrix of logits that somebody else owns.
#pragma once

#include <distill/core/abi.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// Shape [rows, vocabulary]; entry (r, v) stands at data[r * row_stride + v]. The stride counts elements and is
/// `vocabulary` unless given; a stride larger than the vocabulary is padding, which is never read.
///
/// Element: float, double, or a 16-bit type (core/storage_format.hpp); const for inputs. A view is a value: copying it
/// copies no data.
template <class Element>
struct logits_view {
    Element* data = nullptr;
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t vocabulary = 0;
    std::ptrdiff_t row_stride = 0;

    constexpr logits_view() = default;

    template <std::integral Rows, std::integral Vocabulary>
    constexpr logits_view(Element* d, Rows r, Vocabulary v) noexcept : logits_view(d, r, v, v) {}

    template <std::integral Rows, std::integral Vocabulary, std::integral Stride>
    constexpr logits_view(Element* d, Rows r, Vocabulary v, Stride stride) noexcept
        : data(d),
          rows(static_cast<std::ptrdiff_t>(r)),
          vocabulary(static_cast<std::ptrdiff_t>(v)),
          row_stride(static_cast<std::ptrdiff_t>(stride)) {}

    /// A view of mutable logits is a view of logits.
    template <class Mutable>
        requires(std::same_as<const Mutable, Element> && !std::is_const_v<Mutable>)
    constexpr logits_view(const logits_view<Mutable>& other) noexcept
        : data(other.data), rows(other.rows), vocabulary(other.vocabulary), row_stride(other.row_stride) {}

    /// The first entry of a row.
    [[nodiscard]] constexpr Element* row(std::ptrdiff_t index) const noexcept { return data + index * row_stride; }

    /// True for the default-constructed view: the field was not given.
    [[nodiscard]] constexpr bool absent() const noexcept { return data == nullptr && rows == 0 && vocabulary == 0; }
};

/// Logits at or below this value count as -infinity: masked vocabulary. A power of two, so that its multiples are exact.
inline constexpr double masked_logit = -0x1p100;

template <class Element, std::integral... Extents>
logits_view(Element*, Extents...) -> logits_view<Element>;

}  // namespace distill::inline DISTILL_ABI
