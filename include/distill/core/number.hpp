/// What a term may do with a number, and nothing more.
#pragma once

#include <distill/core/abi.hpp>

#include <bit>
#include <concepts>
#include <cstdint>

namespace distill::inline DISTILL_ABI {

/// A number type: a scalar, a SIMD pack, a dual number.
///
/// A number converts from double; has + - * / and unary minus; compares with < > <= >= to a mask that `select(mask, a, b)`
/// consumes; and has abs, min, max, exp, expm1, log, log1p and sqrt, found by argument-dependent lookup. There is no
/// conversion to bool: a number may be many lanes, so a term chooses with `select`, never with `if`.
template <class T>
concept number = std::copyable<T> && std::convertible_to<double, T> && requires(const T& a, const T& b) {
    { a + b } -> std::same_as<T>;
    { a - b } -> std::same_as<T>;
    { a* b } -> std::same_as<T>;
    { a / b } -> std::same_as<T>;
    { -a } -> std::same_as<T>;
    { select(a < b, a, b) } -> std::same_as<T>;
    { select(a > b, a, b) } -> std::same_as<T>;
    { select(a <= b, a, b) } -> std::same_as<T>;
    { select(a >= b, a, b) } -> std::same_as<T>;
    { abs(a) } -> std::same_as<T>;
    { min(a, b) } -> std::same_as<T>;
    { max(a, b) } -> std::same_as<T>;
    { exp(a) } -> std::same_as<T>;
    { expm1(a) } -> std::same_as<T>;
    { log(a) } -> std::same_as<T>;
    { log1p(a) } -> std::same_as<T>;
    { sqrt(a) } -> std::same_as<T>;
};

/// The smallest normal float: what a divisor that may be 0 is held to.
inline constexpr double smallest_normal = 0x1p-126;

/// Finiteness read from the bits, so that the answer holds under -ffast-math too.
constexpr bool is_finite(double x) noexcept {
    constexpr std::uint64_t exponent = 0x7ff0000000000000u;
    return (std::bit_cast<std::uint64_t>(x) & exponent) != exponent;
}

constexpr bool is_finite(float x) noexcept {
    constexpr std::uint32_t exponent = 0x7f800000u;
    return (std::bit_cast<std::uint32_t>(x) & exponent) != exponent;
}

/// A logarithm of a probability: finite, or -infinity. Read from the bits too.
constexpr bool is_log_probability(double x) noexcept {
    return is_finite(x) || std::bit_cast<std::uint64_t>(x) == 0xfff0000000000000u;
}

/// A quiet NaN made from bits, which -ffast-math leaves alone.
constexpr double quiet_nan() noexcept { return std::bit_cast<double>(std::uint64_t{0x7ff8000000000000u}); }

}  // namespace distill::inline DISTILL_ABI
