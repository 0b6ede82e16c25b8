/// Rows of logits and per-row arrays out of tensors that are described by the length and the stride of each axis.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace distill::inline DISTILL_ABI::detail {

/// One axis; its stride counts elements. The stride of an axis of length 1 means nothing, and libraries write anything
/// there.
struct tensor_axis {
    std::ptrdiff_t length = 1;
    std::ptrdiff_t stride = 1;
};

/// The most axes that a tensor may have.
inline constexpr std::ptrdiff_t largest_rank = 8;

/// The axes of a tensor, outermost first. Of more than largest_rank none is kept: such a tensor is refused.
struct tensor_axes {
    std::ptrdiff_t rank = 0;
    std::array<tensor_axis, static_cast<std::size_t>(largest_rank)> axis{};

    /// How many of them are kept.
    [[nodiscard]] constexpr std::size_t kept() const noexcept {
        return rank >= 0 && rank <= largest_rank ? static_cast<std::size_t>(rank) : 0;
    }
    /// The first `count` of them.
    [[nodiscard]] constexpr std::span<const tensor_axis> first(std::size_t count) const noexcept {
        return std::span(axis).first(count);
    }
};

/// The axes from `length(i)` and `stride(i)` of axis i, integers of any type.
template <class Length, class Stride>
constexpr tensor_axes axes_of(std::ptrdiff_t rank, const Length& length, const Stride& stride) {
    tensor_axes axes{.rank = rank};
    for (std::size_t i = 0; i < axes.kept(); ++i)
        axes.axis[i] = {static_cast<std::ptrdiff_t>(length(i)), static_cast<std::ptrdiff_t>(stride(i))};
    return axes;
}

/// The axes of a row-major tensor without gaps. Strides that overflow belong to a shape that is refused for its size.
template <class Length>
constexpr tensor_axes compact_axes(std::ptrdiff_t rank, const Length& length) {
    tensor_axes axes = axes_of(rank, length, [](std::size_t) { return 1; });
    for (std::size_t i = axes.kept(), stride = 1; i-- > 0;) {
        axes.axis[i].stride = static_cast<std::ptrdiff_t>(stride);
        stride *= static_cast<std::size_t>(axes.axis[i].length);
    }
    return axes;
}

/// The memory that a tensor is in. `elements` counts what is there from the address on; negative: unknown.
struct tensor_memory {
    const void* address = nullptr;
    std::size_t element_bytes = 1;
    std::size_t alignment = 1;
    std::ptrdiff_t elements = -1;
};

/// A tensor as rows, one stride apart, of contiguous columns; or the problem: the rest of a sentence about the tensor.
struct tensor_rows {
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t columns = 0;
    std::ptrdiff_t stride = 0;
    std::string problem{};
};

/// [outer, inner, columns] as outer * inner rows.
inline tensor_rows rows_of(tensor_axis outer, tensor_axis inner, tensor_axis columns, const tensor_memory& memory) {
    const auto refuse = [](sentence_parts problem) { return tensor_rows{.problem = sentence(problem)}; };
    const std::ptrdiff_t most =
        (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::ptrdiff_t>(memory.element_bytes);
    std::ptrdiff_t count = 1;
    for (const std::ptrdiff_t length : {outer.length, inner.length, columns.length}) {
        if (length < 0) return refuse({"has an axis of length ", length});
        if (length > 1 && count > most / length) return refuse({"has more elements than memory can hold"});
        if (length > 1) count *= length;
    }
    const std::ptrdiff_t rows = outer.length * inner.length;
    if (rows == 0 || columns.length == 0) return {rows, columns.length, columns.length, {}};

    if (columns.length > 1 && columns.stride != 1)
        return refuse({"has an inner stride of ", columns.stride, ", expected 1"});
    const std::ptrdiff_t stride = inner.length > 1 ? inner.stride : outer.length > 1 ? outer.stride : columns.length;
    if (stride < columns.length) return refuse({"has a row stride of ", stride, ", expected at least ", columns.length});
    if (rows > most / stride) return refuse({"has more elements than memory can hold"});
    if (const std::ptrdiff_t expected = inner.length * stride;
        outer.length > 1 && inner.length > 1 && outer.stride != expected)
        return refuse({"has a leading stride of ", outer.stride, ", expected ", expected,
                       ", with which the leading dimensions are one axis of rows"});

    const std::ptrdiff_t needed = (rows - 1) * stride + columns.length;
    if (memory.elements >= 0 && memory.elements < needed)
        return refuse({"has ", memory.elements, " elements, its shape needs ", needed});
    if (memory.address == nullptr) return refuse({"has ", count, " elements and a null pointer"});
    const auto address = reinterpret_cast<std::uintptr_t>(memory.address);
    if (address % memory.alignment != 0) return refuse({"is not aligned to its element type"});
    if (static_cast<std::uintptr_t>(needed) >
        ((std::numeric_limits<std::uintptr_t>::max)() - address) / memory.element_bytes)
        return refuse({"has more elements than memory can hold"});
    return {rows, columns.length, stride, {}};
}

/// [leading..., columns] as rows: any number of leading axes.
inline tensor_rows rows_of(std::span<const tensor_axis> leading, tensor_axis columns, const tensor_memory& memory) {
    const std::ptrdiff_t most =
        (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::ptrdiff_t>(memory.element_bytes);
    bool empty = columns.length == 0;
    // Of a tensor without elements too, whose other axes are lost where it becomes one axis of rows.
    std::ptrdiff_t count = columns.length > 1 ? columns.length : 1;
    for (const tensor_axis& axis : leading) {
        if (axis.length < 0) return rows_of(tensor_axis{}, axis, columns, memory);
        empty = empty || axis.length == 0;
        if (axis.length > 1 && count > most / axis.length) return {.problem = "has more elements than memory can hold"};
        if (axis.length > 1) count *= axis.length;
    }
    // Axes that run as one are one; the first that does not is the outer one, which is refused.
    tensor_axis outer, inner;
    for (std::size_t i = leading.size(); i-- > 0 && outer.length == 1;) {
        const tensor_axis axis = leading[i];
        if (axis.length == 1) continue;
        if (inner.length == 1) {
            inner = axis;
        } else if (empty ||
                   (inner.stride > 0 && axis.stride % inner.stride == 0 && axis.stride / inner.stride == inner.length)) {
            inner.length *= axis.length;
        } else {
            outer = axis;
        }
    }
    return rows_of(outer, inner, columns, memory);
}

/// A tensor [..., vocabulary] as rows.
inline tensor_rows rows_of_logits(const tensor_axes& axes, const tensor_memory& memory) {
    if (axes.kept() < 2)
        return {.problem = sentence(
                    {"has ", axes.rank, " dimensions, expected 2 to ", largest_rank, ", the last one the vocabulary"})};
    return rows_of(axes.first(axes.kept() - 1), axes.axis[axes.kept() - 1], memory);
}

/// A tensor of one number per row as rows of one column each.
inline tensor_rows rows_of_numbers(const tensor_axes& axes, const tensor_memory& memory) {
    if (axes.kept() < 1) return {.problem = sentence({"has ", axes.rank, " dimensions, expected 1 to ", largest_rank})};
    tensor_rows found = rows_of(axes.first(axes.kept()), tensor_axis{}, memory);
    if (found.problem.empty() && found.rows > 1 && found.stride != 1)
        found.problem = sentence({"has a stride of ", found.stride, ", expected 1"});
    return found;
}

/// The view of a tensor [rows, vocabulary] or [batch, time, vocabulary], or with more leading axes; `name` begins the
/// sentence that refuses another.
template <class Element>
logits_view<Element> logits_of(std::string_view name, Element* data, const tensor_axes& axes, std::ptrdiff_t elements = -1) {
    const tensor_rows found = rows_of_logits(axes, {data, sizeof(Element), alignof(Element), elements});
    if (!found.problem.empty()) {
        report_error({name, " of logits ", found.problem});
        return {};
    }
    return logits_view<Element>(data, found.rows, found.columns, found.stride);
}

/// The contiguous numbers of a tensor [rows] or [batch, time] as an Array: row_values or row_indices.
template <class Array, class Element>
Array numbers_of(std::string_view name, const Element* data, const tensor_axes& axes) {
    const tensor_rows found = rows_of_numbers(axes, {data, sizeof(Element), alignof(Element)});
    if (!found.problem.empty()) {
        report_error({name, " of per-row numbers ", found.problem});
        return {};
    }
    return Array(data, found.rows);
}

}  // namespace distill::inline DISTILL_ABI::detail
