/// One number per row (or per sequence), in either of two widths, owned by somebody else.
#pragma once

#include <distill/core/abi.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

namespace detail {

template <class Range>
concept contiguous_values = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range>;

}  // namespace detail

/// A borrowed array of Narrow or Wide values, read as Wide. Made from a pointer and a length, or from any contiguous
/// range (vector, array, span) that outlives it: a temporary container does not compile. Default-constructed: the field was
/// not given.
template <class Narrow, class Wide>
class row_array {
public:
    constexpr row_array() = default;

    template <class Element, std::integral Size>
    constexpr row_array(const Element* values, Size count) noexcept : size_(static_cast<std::ptrdiff_t>(count)) {
        static_assert(std::same_as<Element, Narrow> || std::same_as<Element, Wide>,
                      "distill: a per-row array holds float or double (weights, advantages, log-probabilities), or int32 or "
                      "int64 (token ids, labels, offsets)");
        if constexpr (std::same_as<Element, Narrow>) narrow_ = values;
        if constexpr (std::same_as<Element, Wide>) wide_ = values;
    }

    template <detail::contiguous_values Range>
    constexpr row_array(Range&& range) noexcept : row_array(std::ranges::data(range), std::ranges::size(range)) {
        static_assert(std::ranges::borrowed_range<Range>,
                      "distill: a temporary container owns its memory and may end before the array is read; name it first");
    }

    [[nodiscard]] constexpr Wide operator[](std::ptrdiff_t index) const noexcept {
        return narrow_ != nullptr ? static_cast<Wide>(narrow_[index]) : wide_[index];
    }
    [[nodiscard]] constexpr std::ptrdiff_t size() const noexcept { return size_; }
    [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
    /// A length without an address.
    [[nodiscard]] constexpr bool dangling() const noexcept { return size_ != 0 && address() == nullptr; }

    [[nodiscard]] constexpr const void* address() const noexcept {
        return narrow_ != nullptr ? static_cast<const void*>(narrow_) : static_cast<const void*>(wide_);
    }
    [[nodiscard]] constexpr std::size_t bytes() const noexcept { return static_cast<std::size_t>(size_) * element_bytes(); }
    [[nodiscard]] constexpr std::size_t element_bytes() const noexcept {
        return narrow_ != nullptr ? sizeof(Narrow) : sizeof(Wide);
    }

private:
    const Narrow* narrow_ = nullptr;
    const Wide* wide_ = nullptr;
    std::ptrdiff_t size_ = 0;
};

/// Weights, advantages, log-probabilities: float or double.
using row_values = row_array<float, double>;

/// Token ids, labels, offsets: int32 or int64.
using row_indices = row_array<std::int32_t, std::int64_t>;

namespace detail {

/// A per-row array as a function's parameter. It may be made from a temporary container, which lives until the call returns.
template <class Array>
struct passed : Array {
    constexpr passed() = default;
    constexpr passed(const Array& array) noexcept : Array(array) {}
    template <contiguous_values Range>
    constexpr passed(const Range& range) noexcept : Array(range) {}
    template <class Element, std::integral Size>
    constexpr passed(const Element* values, Size count) noexcept : Array(values, count) {}
};

}  // namespace detail

}  // namespace distill::inline DISTILL_ABI
