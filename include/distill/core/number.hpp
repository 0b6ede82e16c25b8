/// What a term may do with a number, and nothing more.
#pragma once

#include <distill/core/config.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include <distill/core/macros_of_others.hpp>

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

/// The bits of a number. Under -ffast-math a compiler takes what it computes for finite, and may conclude from that what the bits
/// are not: it cannot see where these come from. A reference, since clang takes an argument and a result for finite, too.
template <std::floating_point Float>
constexpr auto bits_of(const Float& x) noexcept {
    auto bits = std::bit_cast<std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>>(x);
#if defined(DISTILL_FINITE_MATH) && !defined(__CUDA_ARCH__)
    if (!std::is_constant_evaluated()) asm("" : "+r"(bits));
#endif
    return bits;
}

/// Finiteness read from the bits, so that the answer holds under -ffast-math too.
constexpr bool is_finite(const double& x) noexcept {
    constexpr std::uint64_t exponent = 0x7ff0000000000000u;
    return (bits_of(x) & exponent) != exponent;
}

constexpr bool is_finite(const float& x) noexcept {
    constexpr std::uint32_t exponent = 0x7f800000u;
    return (bits_of(x) & exponent) != exponent;
}

/// NaN of either sign, read from the bits too.
constexpr bool is_nan(const double& x) noexcept { return (bits_of(x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u; }
constexpr bool is_nan(const float& x) noexcept { return (bits_of(x) & 0x7fffffffu) > 0x7f800000u; }

/// A logarithm of a probability: finite, or -infinity. Read from the bits too.
constexpr bool is_log_probability(const double& x) noexcept { return is_finite(x) || bits_of(x) == 0xfff0000000000000u; }

/// A quiet NaN. Under -ffast-math the compiler cannot see that it is one, and leaves it alone.
constexpr double quiet_nan() noexcept {
    std::uint64_t bits = 0x7ff8000000000000u;
#if defined(DISTILL_FINITE_MATH) && !defined(__CUDA_ARCH__)
    if (!std::is_constant_evaluated()) asm("" : "+r"(bits));
#endif
    return std::bit_cast<double>(bits);
}

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
