/// Numbers of a row that may be far from 1: weights and coefficients.
#pragma once

#include <distill/core/number.hpp>

#include <cstdint>

namespace distill::inline DISTILL_ABI::row {

/// 1 where |x| is in [smallest, largest], or is 0 or not finite; else a power of two of about |x|: x over it is exact, and
/// about 1.
constexpr double unit_beyond(double x, double smallest, double largest) {
    const double magnitude = x < 0.0 ? -x : x;
    if (!is_finite(x) || magnitude == 0.0 || (magnitude >= smallest && magnitude <= largest)) return 1.0;
    constexpr std::uint64_t exponent = 0x7ff0000000000000u;
    const double power = __builtin_bit_cast(double, bits_of(magnitude) & exponent);
    return power > 0.0 ? power : 0x1p-1022;
}

}  // namespace distill::inline DISTILL_ABI::row
