/// xtensor's containers, adaptors and strided views as views and per-row arrays. No copy.
#pragma once

#include <distill/interop/detail/tensor_axes.hpp>

#include <xtensor/xbuffer_adaptor.hpp>
#include <xtensor/xcontainer.hpp>
#include <xtensor/xexpression.hpp>
#include <xtensor/xlayout.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor_forward.hpp>

#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

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

/// An expression without an address: a sum that is not evaluated yet, a view that picks rows one by one.
template <class Expression>
concept xtensor_expression = xt::is_xexpression<std::remove_cvref_t<Expression>>::value && !xtensor_container<Expression>;

/// True where the memory ends with the object: a container, an adaptor that took its buffer over, a view of such a
/// temporary.
template <class Container>
struct owns_memory : std::is_same<Container, typename Container::temporary_type> {};

template <class Buffer>
struct owns_buffer : std::true_type {};
template <class Buffer>
struct owns_buffer<Buffer&> : std::false_type {};
template <class Pointer, class Allocator>
struct owns_buffer<xt::xbuffer_adaptor<Pointer, xt::no_ownership, Allocator>> : std::false_type {};

template <class Adaptor>
    requires requires { typename Adaptor::container_closure_type; }
struct owns_memory<Adaptor> : owns_buffer<typename Adaptor::container_closure_type> {};

template <class Closure>
struct owns_closure : owns_memory<Closure> {};
template <class Viewed>
struct owns_closure<Viewed&> : std::false_type {};

template <class Closure, class... Slices>
struct owns_memory<xt::xview<Closure, Slices...>> : owns_closure<Closure> {};
template <class Closure, class Shape, xt::layout_type layout, class Flat>
struct owns_memory<xt::xstrided_view<Closure, Shape, layout, Flat>> : owns_closure<Closure> {};

template <class Container>
tensor_axes axes_of_xtensor(const Container& container) {
    return axes_of(
        static_cast<std::ptrdiff_t>(container.dimension()), [&](std::size_t axis) { return container.shape()[axis]; },
        [&](std::size_t axis) { return container.strides()[axis]; });
}

}  // namespace detail

/// The view of a container, an adaptor or a strided view [rows, vocabulary] or [batch, time, vocabulary], mutable where its
/// elements are. Errors: another number of dimensions, a vocabulary that is not contiguous, leading axes that do not run as
/// one.
template <detail::xtensor_container Container>
[[nodiscard]] auto view_of(Container&& container) {
    using plain = std::remove_cvref_t<Container>;
    static_assert(plain::static_layout != xt::layout_type::column_major,
                  "distill: a column-major tensor has its vocabulary scattered over memory; use xt::layout_type::row_major");
    static_assert(std::is_lvalue_reference_v<Container> || !detail::owns_memory<plain>::value,
                  "distill: a temporary tensor owns its memory and ends before the view does");
    return detail::logits_of("an xtensor", container.data() + container.data_offset(), detail::axes_of_xtensor(container));
}

/// Weights, advantages, log-probabilities or token ids from a contiguous container [rows] or [batch, time]. Errors: another
/// number of dimensions, a stride.
template <detail::xtensor_container Container>
[[nodiscard]] auto values_of(Container&& container) {
    using plain = std::remove_cvref_t<Container>;
    static_assert(std::is_lvalue_reference_v<Container> || !detail::owns_memory<plain>::value,
                  "distill: a temporary tensor owns its memory and ends before the array does");
    using array = std::conditional_t<std::is_integral_v<typename plain::value_type>, row_indices, row_values>;
    return detail::numbers_of<array>("an xtensor", container.data() + container.data_offset(),
                                     detail::axes_of_xtensor(container));
}

/// An expression without an address and strides.
template <detail::xtensor_expression Expression>
void view_of(const Expression&) {
    static_assert(sizeof(Expression) == 0,
                  "distill: this xtensor expression is no memory with strides (a sum, a reshape_view, rows that are picked "
                  "one by one); "
                  "evaluate it into an xt::xtensor that outlives the view");
}
template <detail::xtensor_expression Expression>
void values_of(const Expression&) {
    static_assert(sizeof(Expression) == 0,
                  "distill: this xtensor expression is no memory with strides (a sum, a reshape_view, rows that are picked "
                  "one by one); "
                  "evaluate it into an xt::xtensor that outlives the array");
}

}  // namespace distill::inline DISTILL_ABI
