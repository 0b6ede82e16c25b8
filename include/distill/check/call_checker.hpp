/// Looks for what is wrong with the pieces of a call: views, arrays, regions of memory. Nothing here depends on the type of
/// the elements, so a program compiles it once, however many losses it has.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/gradient.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace distill::inline DISTILL_ABI::detail {

/// The widest vocabulary: every index is exact in float.
inline constexpr std::ptrdiff_t largest_vocabulary = std::ptrdiff_t{1} << 24;

/// A view without the type of its elements.
struct untyped_view {
    const void* data = nullptr;
    std::ptrdiff_t rows = 0;
    std::ptrdiff_t vocabulary = 0;
    std::ptrdiff_t row_stride = 0;
    std::size_t element_bytes = 1;
    std::size_t alignment = 1;

    untyped_view() = default;
    template <class Element>
    untyped_view(const logits_view<Element>& view)
        : data(view.data),
          rows(view.rows),
          vocabulary(view.vocabulary),
          row_stride(view.row_stride),
          element_bytes(sizeof(Element)),
          alignment(alignof(Element)) {}

    [[nodiscard]] bool absent() const { return data == nullptr && rows == 0 && vocabulary == 0; }
};

/// A one-dimensional array without the type of its elements.
struct untyped_array {
    const void* address = nullptr;
    std::ptrdiff_t size = 0;
    std::size_t element_bytes = 1;

    untyped_array() = default;
    template <class Narrow, class Wide>
    untyped_array(const row_array<Narrow, Wide>& array)
        : address(array.address()), size(array.size()), element_bytes(array.element_bytes()) {}
    template <class Element, std::size_t Extent>
    untyped_array(std::span<Element, Extent> span)
        : address(span.data()), size(static_cast<std::ptrdiff_t>(span.size())), element_bytes(sizeof(Element)) {}

    /// A length without an address.
    [[nodiscard]] bool dangling() const { return size != 0 && address == nullptr; }
};

/// A region of memory, for overlap checks: `rows` runs of `row_bytes`, `stride_bytes` apart.
struct region {
    std::uintptr_t address = 0;
    std::size_t rows = 0;
    std::size_t row_bytes = 0;
    std::size_t stride_bytes = 0;

    [[nodiscard]] std::uintptr_t end() const { return address + (rows - 1) * stride_bytes + row_bytes; }
    [[nodiscard]] bool empty() const { return rows == 0 || row_bytes == 0; }
};

inline region region_of(const untyped_view& view, bool with_padding = false) {
    const auto columns = static_cast<std::size_t>(with_padding ? view.row_stride : view.vocabulary);
    return {reinterpret_cast<std::uintptr_t>(view.data), static_cast<std::size_t>(view.rows), columns * view.element_bytes,
            static_cast<std::size_t>(view.row_stride) * view.element_bytes};
}

inline region region_of(const untyped_array& array) {
    const std::size_t bytes = static_cast<std::size_t>(array.size) * array.element_bytes;
    return {reinterpret_cast<std::uintptr_t>(array.address), array.size == 0 ? std::size_t{0} : std::size_t{1}, bytes,
            bytes};
}

/// True where the two share a byte. Regions of equal stride may interleave: columns of one wider matrix.
inline bool overlap(const region& a, const region& b) {
    if (a.empty() || b.empty() || a.end() <= b.address || b.end() <= a.address) return false;
    if (a.stride_bytes != b.stride_bytes || a.stride_bytes == 0) return true;
    const std::size_t stride = a.stride_bytes;
    const std::size_t offset =
        a.address <= b.address ? (b.address - a.address) % stride : (stride - (a.address - b.address) % stride) % stride;
    return !(offset >= a.row_bytes && offset + b.row_bytes <= stride);
}

/// Collects the first error of a call. Empty text: no error.
class call_checker {
public:
    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] bool fine() const { return error_.empty(); }

    /// Records the sentence where nothing failed before.
    void refuse(sentence_parts parts) {
        if (error_.empty()) error_ = sentence(parts);
    }
    /// Records the sentence if the condition fails. Its parts are made either way: outside of loops only.
    bool demand(bool condition, sentence_parts parts) {
        if (!condition) refuse(parts);
        return fine();
    }

    void view(std::string_view name, const untyped_view& v) {
        if (!demand(v.rows >= 0, {name, " has ", v.rows, " rows"}) || v.absent()) return;
        demand(v.vocabulary >= 1 && v.vocabulary <= largest_vocabulary,
               {name, " has a vocabulary of ", v.vocabulary, ", expected 1 to ", largest_vocabulary});
        demand(v.row_stride >= v.vocabulary,
               {name, " has a row stride of ", v.row_stride, ", expected at least its vocabulary ", v.vocabulary});
        if (!fine() || v.rows == 0) return;
        const auto most = (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::ptrdiff_t>(v.element_bytes);
        demand(v.rows <= most / v.row_stride,
               {name, " has ", v.rows, " rows of stride ", v.row_stride, ", more than memory can hold"});
        demand(v.data != nullptr, {name, " has ", v.rows, " rows and a null pointer"});
        aligned(name, v.data, v.alignment);
    }

    void same_shape(std::string_view name, const untyped_view& v, const untyped_view& student) {
        view(name, v);
        demand(v.rows == student.rows, {name, " has ", v.rows, " rows, batch.student has ", student.rows});
        demand(v.vocabulary == student.vocabulary,
               {name, " has a vocabulary of ", v.vocabulary, ", batch.student has ", student.vocabulary});
    }

    /// Numbers are aligned to their size.
    void alignment(std::string_view name, const untyped_array& array) { aligned(name, array.address, array.element_bytes); }

    void one_per_row(std::string_view name, const untyped_array& array, std::ptrdiff_t rows) {
        demand(!array.dangling(), {name, " has ", array.size, " elements and a null pointer"});
        alignment(name, array);
        demand(array.size == rows, {name, " has ", array.size, " elements, batch.student has ", rows, " rows"});
    }

    /// `reader` needs `field`.
    void needed(std::string_view reader, std::string_view field, bool present) {
        demand(present, {reader, " needs ", field, ", which is empty"});
    }

    void no_overlap(std::string_view output, const region& out, std::string_view input, const region& in) {
        demand(!overlap(out, in), {output, " overlaps ", input});
    }

private:
    void aligned(std::string_view name, const void* address, std::size_t to) {
        demand(reinterpret_cast<std::uintptr_t>(address) % to == 0, {name, " is not aligned to its element type"});
    }

    std::string error_;
};

}  // namespace distill::inline DISTILL_ABI::detail
