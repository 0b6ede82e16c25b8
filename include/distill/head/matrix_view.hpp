/// Matrices and vectors of a linear head that somebody else owns.
#pragma once

#include <distill/core/abi.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// Shape [rows, columns], row-major; entry (r, c) stands at data[r * row_stride + c]. The stride counts elements and is
/// `columns` unless given. Element is as that of logits; const for inputs. A view is a value: copying it copies no data.
template <class Element>
struct matrix_view {
    Element* data = nullptr;
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t columns = 0;
    std::ptrdiff_t row_stride = 0;

    constexpr matrix_view() = default;

    template <std::integral Rows, std::integral Columns>
    constexpr matrix_view(Element* d, Rows r, Columns c) noexcept : matrix_view(d, r, c, c) {}

    template <std::integral Rows, std::integral Columns, std::integral Stride>
    constexpr matrix_view(Element* d, Rows r, Columns c, Stride stride) noexcept
        : data(d),
          rows(static_cast<std::ptrdiff_t>(r)),
          columns(static_cast<std::ptrdiff_t>(c)),
          row_stride(static_cast<std::ptrdiff_t>(stride)) {}

    /// A view of a mutable matrix is a view of a matrix.
    template <class Mutable>
        requires(std::same_as<const Mutable, Element> && !std::is_const_v<Mutable>)
    constexpr matrix_view(const matrix_view<Mutable>& other) noexcept
        : data(other.data), rows(other.rows), columns(other.columns), row_stride(other.row_stride) {}

    /// The first entry of a row.
    [[nodiscard]] constexpr Element* row(std::ptrdiff_t index) const noexcept { return data + index * row_stride; }

    /// Rows [first, first + count).
    [[nodiscard]] constexpr matrix_view middle_rows(std::ptrdiff_t first, std::ptrdiff_t count) const noexcept {
        return {row(first), count, columns, row_stride};
    }

    /// True for the default-constructed view: the field was not given.
    [[nodiscard]] constexpr bool absent() const noexcept { return data == nullptr && rows == 0 && columns == 0; }
};

template <class Element, std::integral... Extents>
matrix_view(Element*, Extents...) -> matrix_view<Element>;

/// `size` elements one after the other. Made from a pointer and a length, or from any contiguous range that outlives it: a
/// temporary container does not compile.
template <class Element>
struct vector_view {
    Element* data = nullptr;
    std::ptrdiff_t size = 0;

    constexpr vector_view() = default;

    template <std::integral Size>
    constexpr vector_view(Element* d, Size s) noexcept : data(d), size(static_cast<std::ptrdiff_t>(s)) {}

    template <std::ranges::contiguous_range Range>
        requires(std::ranges::sized_range<Range> &&
                 std::convertible_to<std::remove_reference_t<std::ranges::range_reference_t<Range>> (*)[], Element (*)[]>)
    constexpr vector_view(Range&& range) noexcept : vector_view(std::ranges::data(range), std::ranges::size(range)) {
        static_assert(std::ranges::borrowed_range<Range>,
                      "distill: a temporary container owns its memory and may end before the array is read; name it first");
    }

    template <class Mutable>
        requires(std::same_as<const Mutable, Element> && !std::is_const_v<Mutable>)
    constexpr vector_view(const vector_view<Mutable>& other) noexcept : data(other.data), size(other.size) {}

    /// True for the default-constructed view: the field was not given.
    [[nodiscard]] constexpr bool absent() const noexcept { return data == nullptr && size == 0; }
};

template <class Element, std::integral Size>
vector_view(Element*, Size) -> vector_view<Element>;
template <std::ranges::contiguous_range Range>
vector_view(Range&&) -> vector_view<std::remove_reference_t<std::ranges::range_reference_t<Range>>>;

}  // namespace distill::inline DISTILL_ABI
