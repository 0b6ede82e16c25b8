/// What a term may do with a number, and nothing more.
#pragma once

#include <distill/core/config.hpp>

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
///
/// A term may rely on this:
///   * Every number that it is handed is finite. A row that holds NaN or +infinity reaches no term; -infinity arrives as p =
///     0 and the floor of log p.
///   * Of finite numbers, + - * / and the functions give what arithmetic in the number's precision gives, functions to the
///     errors and in the ranges of backend/simd/math.hpp. Beyond them a function may be clamped. log(0) and log1p(-1) are
///     finite: a probability of 0 counts as the smallest normal number, about -87 in float and -708 in double.
///   * Nothing is said of NaN and infinities as arguments. A comparison with NaN is false unless the consumer's flags say
///     that there is none; min and max may return either argument; a function returns some number, or NaN. It is not the
///     same in every number type and instruction set. A term that divides by no 0 and overflows nowhere meets neither.
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

/// The smallest normal float: the bound of a divisor that may be 0.
inline constexpr double smallest_normal = 0x1p-126;

/// Its root: the bound of a divisor that is a sum of square roots. Of a smaller number than smallest_normal, float lanes
/// return 0 as the root.
inline constexpr double smallest_root = 0x1p-63;

/// The bits of a number. Under -ffast-math a compiler takes what it computes for finite, and may conclude from that what the
/// bits are not: it cannot see where these come from. A reference, since clang takes an argument and a result for finite,
/// too.
template <std::floating_point Float>
constexpr auto bits_of(const Float& x) noexcept {
    using bits_type = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;
    auto bits = __builtin_bit_cast(bits_type, x);  // std::bit_cast is a function, and has the same name under any flags
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
    return __builtin_bit_cast(double, bits);
}

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
