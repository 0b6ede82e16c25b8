/// Polynomials of any number type.
#pragma once

#include <distill/core/config.hpp>

#include <concepts>

namespace distill::inline DISTILL_ABI {

namespace detail {

template <class Number>
DISTILL_INLINE constexpr Number polynomial_of_pairs(const Number&, const Number&, double last) {
    return Number(last);
}
template <class Number, std::same_as<double>... Rest>
DISTILL_INLINE constexpr Number polynomial_of_pairs(const Number& x, const Number& square, double even, double odd,
                                                    Rest... rest) {
    Number pair = fma(Number(odd), x, Number(even));
    if constexpr (sizeof...(rest) == 0)
        return pair;
    else
        return fma(polynomial_of_pairs(x, square, rest...), square, pair);
}

}  // namespace detail

/// a + b x + c x^2 + d x^3 + ...  as a polynomial in x^2 whose coefficients are pairs a + b x: one multiplication more than
/// Horner's scheme, and half its latency.
template <class Number, std::same_as<double>... Coefficients>
DISTILL_INLINE constexpr Number polynomial(const Number& x, Coefficients... coefficients) {
    return detail::polynomial_of_pairs(x, x * x, coefficients...);
}

}  // namespace distill::inline DISTILL_ABI
