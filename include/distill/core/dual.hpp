/// Forward-mode differentiation: a value and its derivative, carried through a term.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/number.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// value + derivative * epsilon, epsilon^2 = 0. A term that returns its value alone is evaluated on dual numbers seeded
/// with d/d(log p), so the library differentiates it. At a kink (abs, min, max, select) the derivative is that of the
/// branch taken.
template <class T>
struct dual {
    T value;
    T derivative;

    constexpr dual() = default;
    DISTILL_INLINE constexpr dual(double x) : value(x), derivative(0.0) {}
    DISTILL_INLINE constexpr dual(const T& v, const T& d) : value(v), derivative(d) {}

    friend DISTILL_INLINE constexpr dual operator+(const dual& a, const dual& b) {
        return {a.value + b.value, a.derivative + b.derivative};
    }
    friend DISTILL_INLINE constexpr dual operator-(const dual& a, const dual& b) {
        return {a.value - b.value, a.derivative - b.derivative};
    }
    friend DISTILL_INLINE constexpr dual operator*(const dual& a, const dual& b) {
        return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
    }
    friend DISTILL_INLINE constexpr dual operator/(const dual& a, const dual& b) {
        const T quotient = a.value / b.value;
        return {quotient, (a.derivative - quotient * b.derivative) / b.value};
    }
    friend DISTILL_INLINE constexpr dual operator-(const dual& a) { return {-a.value, -a.derivative}; }

    friend DISTILL_INLINE constexpr auto operator<(const dual& a, const dual& b) { return a.value < b.value; }
    friend DISTILL_INLINE constexpr auto operator>(const dual& a, const dual& b) { return a.value > b.value; }
    friend DISTILL_INLINE constexpr auto operator<=(const dual& a, const dual& b) { return a.value <= b.value; }
    friend DISTILL_INLINE constexpr auto operator>=(const dual& a, const dual& b) { return a.value >= b.value; }

    template <class Mask>
    friend DISTILL_INLINE constexpr dual select(const Mask& mask, const dual& a, const dual& b) {
        return {select(mask, a.value, b.value), select(mask, a.derivative, b.derivative)};
    }
    friend DISTILL_INLINE constexpr dual abs(const dual& a) { return select(a.value < T(0.0), -a, a); }
    friend DISTILL_INLINE constexpr dual min(const dual& a, const dual& b) { return select(b.value < a.value, b, a); }
    friend DISTILL_INLINE constexpr dual max(const dual& a, const dual& b) { return select(a.value < b.value, b, a); }
    friend DISTILL_INLINE constexpr dual exp(const dual& a) {
        const T e = exp(a.value);
        return {e, e * a.derivative};
    }
    friend DISTILL_INLINE constexpr dual expm1(const dual& a) {
        const T e = expm1(a.value);
        return {e, (e + T(1.0)) * a.derivative};
    }
    /// d/dx log x = 1/x; 0 at x = 0, where log is clamped: no 0/0 where a probability is 0.
    friend DISTILL_INLINE constexpr dual log(const dual& a) {
        const T zero(0.0);
        return {log(a.value), select(a.value > zero, a.derivative / a.value, zero)};
    }
    /// d/dx log(1 + x) = 1/(1 + x); 0 at x = -1. The comparison has no small number in it: 1 + x < 2^-126 becomes
    /// x < -1 under -ffast-math, and lets 0/0 through.
    friend DISTILL_INLINE constexpr dual log1p(const dual& a) {
        const T zero(0.0);
        return {log1p(a.value), select(a.value > T(-1.0), a.derivative / (T(1.0) + a.value), zero)};
    }
    friend DISTILL_INLINE constexpr dual sqrt(const dual& a) {
        const T root = sqrt(a.value);
        return {root, a.derivative / max(root + root, T(smallest_root))};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
