// What a number of several lanes does, by the operation's name.
#pragma once

#include <distill/core/config.hpp>

#include <support/bits.hpp>

#include <cstdint>
#include <vector>

namespace distill_test {

// Every finite pair of these, and the special values below where a function promises something about them.
inline const std::vector<double> ordinary{-3.5, -1.0, -0.25, 0.0, 0.125, 1.0, 2.75, 1e6};
inline constexpr std::uint64_t nan_bits = 0x7ff8000000000000u, sign = std::uint64_t{1} << 63;
inline const std::vector<double> special{double_of(nan_bits), double_of(nan_bits | sign), double_of(0x7ff0000000000000u),
                                         double_of(0xfff0000000000000u)};

enum operation {
    add,
    subtract,
    multiply,
    divide,
    negate,
    smaller,
    larger,
    magnitude,
    select_less,
    select_greater,
    select_at_most,
    select_at_least,
    multiply_add,
    at_most_positive,
    at_most_negative,
    at_least_constant,
    at_least_negative,
    at_least_zero,
    at_least_minus_zero,
    bounded_below,
    held,
    larger_of,
    nan_test,
    count
};

template <class Number>
DISTILL_INLINE Number apply(int which, const Number& a, const Number& b) {
    const Number one(1.0), zero(0.0);
    switch (which) {
        case add:
            return a + b;
        case subtract:
            return a - b;
        case multiply:
            return a * b;
        case divide:
            return a / b;
        case negate:
            return -a;
        case smaller:
            return min(a, b);
        case larger:
            return max(a, b);
        case magnitude:
            return abs(a);
        case select_less:
            return select(a < b, one, zero);
        case select_greater:
            return select(a > b, one, zero);
        case select_at_most:
            return select(a <= b, one, zero);
        case select_at_least:
            return select(a >= b, one, zero);
        case multiply_add:
            return fma(a, b, one);
        case at_most_positive:
            return min(a, Number(1.5));
        case at_most_negative:
            return min(a, Number(-0.75));
        case at_least_constant:
            return max(a, Number(1.5));
        case at_least_negative:
            return max(a, Number(-0.75));
        case at_least_zero:
            return max(a, zero);
        case at_least_minus_zero:
            return max(a, Number(-0.0));
        case bounded_below:
            return at_least(a, Number(-2.0));
        case held:
            return clamp_magnitude(a, Number(2.0));
        case larger_of:
            return larger_magnitude(abs(a), b);
        default:
            return select(is_nan(a), one, zero);
    }
}

}  // namespace distill_test
