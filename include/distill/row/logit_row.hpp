/// How a sweep reads a row's logits: as they are in memory, or soft-capped (core/soft_cap.hpp). A row is a pointer, or a
/// capped_row around one.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/scalar.hpp>
#include <distill/core/soft_cap.hpp>
#include <distill/row/element.hpp>

#include <cstdint>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::row {

/// A row of logits x that are read as cap tanh(x / cap), or as they are where cap is 0.
template <class Element>
struct capped_row {
    const Element* data;
    double cap;
};

template <class Element>
constexpr const Element* student_row(const no_soft_cap&, const Element* row) {
    return row;
}
template <class Element>
constexpr const Element* teacher_row(const no_soft_cap&, const Element* row) {
    return row;
}
template <class Element>
constexpr capped_row<Element> student_row(const soft_cap& caps, const Element* row) {
    return {row, caps.student};
}
template <class Element>
constexpr capped_row<Element> teacher_row(const soft_cap& caps, const Element* row) {
    return {row, caps.teacher};
}

template <class Element>
constexpr const Element* address_of(const Element* row) {
    return row;
}
template <class Element>
constexpr const Element* address_of(const capped_row<Element>& row) {
    return row.data;
}

/// cap tanh(x / cap) from expm1(-2 |x| / cap), which keeps the digits of small logits. Masked logits, infinities and NaN are
/// returned as they are.
template <class Number>
DISTILL_INLINE constexpr Number soft_capped(const Number& x, double cap) {
    if (cap == 0.0) return x;
    const Number e = expm1(abs(x) * Number(-2.0 / cap));
    const Number magnitude = Number(-cap) * e / (e + Number(2.0));
    const Number capped = select(x < Number(0.0), -magnitude, magnitude);
    return select(is_finite(x), select(x > Number(masked_logit), capped, x), x);
}

/// The derivative 1 - tanh(x / cap)^2, without cancellation where it is small; 0 at masked logits.
template <class Number>
DISTILL_INLINE constexpr Number soft_cap_slope(const Number& x, double cap) {
    if (cap == 0.0) return Number(1.0);
    const Number e = exp(abs(x) * Number(-2.0 / cap));
    const Number one_more = e + Number(1.0);
    return select(x > Number(masked_logit), Number(4.0) * e / (one_more * one_more), Number(0.0));
}

template <class Team, class Element, class At>
DISTILL_INLINE constexpr typename Team::number load_logits(const Team& team, const Element* row, const At& at) {
    return team.load(row, at);
}
template <class Team, class Element, class At>
DISTILL_INLINE constexpr typename Team::number load_logits(const Team& team, const capped_row<Element>& row, const At& at) {
    return soft_capped(team.load(row.data, at), row.cap);
}

/// A derivative with respect to the logits that the sweeps see, as one with respect to those in memory.
template <class Team, class Element, class At>
DISTILL_INLINE constexpr typename Team::number through_cap(const Team&, const Element*, const At&,
                                                           const typename Team::number& derivative) {
    return derivative;
}
template <class Team, class Element, class At>
DISTILL_INLINE constexpr typename Team::number through_cap(const Team& team, const capped_row<Element>& row, const At& at,
                                                           const typename Team::number& derivative) {
    return derivative * soft_cap_slope(team.load(row.data, at), row.cap);
}

/// One logit as the sweeps see it.
template <class Real, class Element>
constexpr double single_logit(const Element* row, std::int64_t index) {
    const auto x = static_cast<double>(from_element<Real>(row[index]));
    return x > masked_logit ? x : masked_logit;
}
template <class Real, class Element>
constexpr double single_logit(const capped_row<Element>& row, std::int64_t index) {
    return soft_capped(scalar<double>(single_logit<Real>(row.data, index)), row.cap).value;
}

template <class Real, class Element>
constexpr double single_slope(const Element*, std::int64_t) {
    return 1.0;
}
template <class Real, class Element>
constexpr double single_slope(const capped_row<Element>& row, std::int64_t index) {
    return soft_cap_slope(scalar<double>(single_logit<Real>(row.data, index)), row.cap).value;
}

}  // namespace distill::inline DISTILL_ABI::row

#include <distill/core/macros_of_others.hpp>
