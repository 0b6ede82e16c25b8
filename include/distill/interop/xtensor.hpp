/// xtensor's containers and adaptors as views and per-row arrays. No copy.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <xtensor/xcontainer.hpp>
#include <xtensor/xlayout.hpp>

#include <cstddef>
#include <string>
#include <type_traits>

namespace distill {

namespace detail {

template <class Container>
concept xtensor_container = requires(Container& c) {
    c.data();
    c.shape();
    c.strides();
    c.dimension();
    c.data_offset();
    std::remove_cvref_t<Container>::static_layout;
};

/// An adaptor borrows; what it becomes when it is evaluated owns.
template <class Container>
inline constexpr bool owns_memory = std::is_same_v<Container, typename Container::temporary_type>;

}  // namespace detail

/// The view of a two-dimensional row-major container or adaptor [rows, vocabulary]. Errors: another number of dimensions, a
/// vocabulary that is not contiguous.
template <detail::xtensor_container Container>
[[nodiscard]] auto view_of(Container&& container) {
    using plain = std::remove_cvref_t<Container>;
    static_assert(plain::static_layout != xt::layout_type::column_major,
                  "distill: a column-major tensor has its vocabulary scattered over memory; use xt::layout_type::row_major");
    static_assert(std::is_lvalue_reference_v<Container> || !detail::owns_memory<plain>,
                  "distill: a temporary tensor owns its memory and ends before the view does");
    using element = std::remove_pointer_t<decltype(container.data())>;
    if (container.dimension() != 2) {
        report_error("an xtensor of logits has " + std::to_string(container.dimension()) + " dimensions, expected 2");
        return logits_view<element>{};
    }
    const auto rows = static_cast<std::ptrdiff_t>(container.shape()[0]);
    const auto vocabulary = static_cast<std::ptrdiff_t>(container.shape()[1]);
    // xtensor writes a stride of 0 along an axis of length 1.
    const auto row_stride = rows > 1 ? static_cast<std::ptrdiff_t>(container.strides()[0]) : vocabulary;
    if (vocabulary > 1 && static_cast<std::ptrdiff_t>(container.strides()[1]) != 1) {
        report_error("an xtensor of logits has an inner stride of " + std::to_string(container.strides()[1]) +
                     ", expected 1");
        return logits_view<element>{};
    }
    return logits_view<element>(container.data() + container.data_offset(), rows, vocabulary, row_stride);
}

/// Weights, advantages, log-probabilities or token ids from a contiguous one-dimensional container. Errors: another number
/// of dimensions, a stride.
template <detail::xtensor_container Container>
[[nodiscard]] auto values_of(Container&& container) {
    using plain = std::remove_cvref_t<Container>;
    using element = typename plain::value_type;
    static_assert(std::is_lvalue_reference_v<Container> || !detail::owns_memory<plain>,
                  "distill: a temporary tensor owns its memory and ends before the array does");
    using array = std::conditional_t<std::is_integral_v<element>, row_indices, row_values>;
    if (container.dimension() != 1) {
        report_error("an xtensor of per-row numbers has " + std::to_string(container.dimension()) +
                     " dimensions, expected 1");
        return array{};
    }
    if (container.shape()[0] > 1 && container.strides()[0] != 1) {
        report_error("an xtensor of per-row numbers has a stride of " + std::to_string(container.strides()[0]) +
                     ", expected 1");
        return array{};
    }
    return array(container.data() + container.data_offset(), container.shape()[0]);
}

}  // namespace distill
