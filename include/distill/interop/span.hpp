/// Logits in one flat range (a vector, an array, a span) and have a shape. No copy.
#pragma once

#include <distill/interop/detail/tensor_axes.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

namespace detail {

template <class Range>
concept range_of_ranges = std::ranges::range<Range> && std::ranges::range<std::ranges::range_value_t<Range>>;

template <class Range>
concept flat_range = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> && !range_of_ranges<Range>;

template <flat_range Range>
auto logits_of_flat(Range&& values, const tensor_axes& axes) {
    static_assert(std::ranges::borrowed_range<Range>,
                  "distill: a temporary container owns its memory and ends before the view does");
    return logits_of("a span", std::ranges::data(values), axes, static_cast<std::ptrdiff_t>(std::ranges::size(values)));
}

}  // namespace detail

/// `view_of(values, {batch, time, vocabulary})`, or {rows, vocabulary}: batch * time rows without padding.
template <detail::flat_range Range, std::integral Length, std::size_t Rank>
[[nodiscard]] auto view_of(Range&& values, const Length (&shape)[Rank]) {
    static_assert(Rank == 2 || Rank == 3, "distill: the shape of logits is {rows, vocabulary} or {batch, time, vocabulary}");
    return detail::logits_of_flat(std::forward<Range>(values),
                                  detail::compact_axes(Rank, [&](std::size_t i) { return shape[i]; }));
}

/// `view_of(values, {batch, time, vocabulary}, {stride, stride, 1})`: strides count elements. Errors: a vocabulary that is
/// not contiguous, leading axes that do not run as one.
template <detail::flat_range Range, std::integral Length, std::integral Stride, std::size_t Rank>
[[nodiscard]] auto view_of(Range&& values, const Length (&shape)[Rank], const Stride (&strides)[Rank]) {
    static_assert(Rank == 2 || Rank == 3, "distill: the shape of logits is {rows, vocabulary} or {batch, time, vocabulary}");
    return detail::logits_of_flat(
        std::forward<Range>(values),
        detail::axes_of(Rank, [&](std::size_t i) { return shape[i]; }, [&](std::size_t i) { return strides[i]; }));
}

/// The view [rows, vocabulary] of a range of logits, its rows `row_stride` elements apart; mutable where the elements are.
/// Errors: a range that is shorter than its shape. The padding of the last row may be missing, unless it is written with
/// zero_padding.
template <detail::flat_range Range, std::integral Rows, std::integral Vocabulary, std::integral RowStride>
[[nodiscard]] auto view_of(Range&& values, Rows rows, Vocabulary vocabulary, RowStride row_stride) {
    const std::ptrdiff_t shape[] = {static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(vocabulary)};
    const std::ptrdiff_t strides[] = {static_cast<std::ptrdiff_t>(row_stride), 1};
    auto view = view_of(std::forward<Range>(values), shape, strides);
    // The stride of a single row counts too where somebody said it: its padding can be written.
    if (view.rows == 1) view.row_stride = strides[0];
    return view;
}

/// The same without padding.
template <detail::flat_range Range, std::integral Rows, std::integral Vocabulary>
[[nodiscard]] auto view_of(Range&& values, Rows rows, Vocabulary vocabulary) {
    return view_of(std::forward<Range>(values), rows, vocabulary, vocabulary);
}

/// A vector of vectors is no matrix.
template <detail::range_of_ranges Rows, class... Shape>
void view_of(const Rows&, const Shape&...) {
    static_assert(
        sizeof(Rows) == 0,
        "distill: a vector of vectors has each row at an address of its own, and a view has one stride between its "
        "rows; keep the rows in one vector: view_of(values, rows, vocabulary)");
}

}  // namespace distill::inline DISTILL_ABI
