/// The number type of one lane: a float or a double whose functions are found by argument-dependent lookup.
#pragma once

#include <distill/core/number.hpp>

#include <cmath>
#include <concepts>
#include <limits>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// A floating-point value as terms see it where there is no SIMD: the reference backend, token terms, one CUDA thread.
template <std::floating_point Float>
struct scalar {
    Float value{};

    constexpr scalar() = default;
    constexpr scalar(double x) noexcept : value(static_cast<Float>(x)) {}

    friend constexpr scalar operator+(scalar a, scalar b) noexcept { return raw(a.value + b.value); }
    friend constexpr scalar operator-(scalar a, scalar b) noexcept { return raw(a.value - b.value); }
    friend constexpr scalar operator*(scalar a, scalar b) noexcept { return raw(a.value * b.value); }
    friend constexpr scalar operator/(scalar a, scalar b) noexcept { return raw(a.value / b.value); }
    friend constexpr scalar operator-(scalar a) noexcept { return raw(-a.value); }

    friend constexpr bool operator<(scalar a, scalar b) noexcept { return a.value < b.value; }
    friend constexpr bool operator>(scalar a, scalar b) noexcept { return a.value > b.value; }
    friend constexpr bool operator<=(scalar a, scalar b) noexcept { return a.value <= b.value; }
    friend constexpr bool operator>=(scalar a, scalar b) noexcept { return a.value >= b.value; }
    friend constexpr scalar select(bool mask, scalar a, scalar b) noexcept { return mask ? a : b; }

    friend constexpr scalar abs(scalar a) noexcept { return raw(a.value < Float(0) ? -a.value : a.value); }
    friend constexpr scalar min(scalar a, scalar b) noexcept { return b.value < a.value ? b : a; }
    friend constexpr scalar max(scalar a, scalar b) noexcept { return a.value < b.value ? b : a; }
    friend constexpr scalar exp(scalar a) noexcept { return raw(std::exp(a.value)); }
    friend constexpr scalar exp2(scalar a) noexcept { return raw(std::exp2(a.value)); }
    friend constexpr scalar expm1(scalar a) noexcept { return raw(std::expm1(a.value)); }
    /// Finite at 0 and below, as in every lane: 0 log 0 is 0.
    friend constexpr scalar log(scalar a) noexcept { return raw(std::log(max(a, raw(smallest)).value)); }
    /// Finite at -1 and below.
    friend constexpr scalar log1p(scalar a) noexcept { return raw(std::log1p(max(a, raw(above_minus_one)).value)); }
    friend constexpr scalar sqrt(scalar a) noexcept { return raw(std::sqrt(a.value)); }
    friend constexpr scalar fma(scalar a, scalar b, scalar c) noexcept { return raw(a.value * b.value + c.value); }

    /// max(a, bound) for a bound below zero; -infinity becomes the bound.
    friend constexpr scalar at_least(scalar a, scalar negative_bound) noexcept { return max(a, negative_bound); }
    /// a held to [-bound, bound]; infinities and NaN become a bound too.
    friend constexpr scalar clamp_magnitude(scalar a, scalar bound) noexcept {
        return is_nan(a) ? bound : max(min(a, bound), -bound);
    }
    /// The larger of a magnitude and |b|, where NaN is larger than everything.
    friend constexpr scalar larger_magnitude(scalar magnitude, scalar b) noexcept {
        return is_nan(magnitude) || (!is_nan(b) && abs(b) < magnitude) ? magnitude : abs(b);
    }
    /// Neither infinity nor NaN.
    friend constexpr bool is_finite(const scalar& a) noexcept { return distill::is_finite(a.value); }
    /// NaN of either sign.
    friend constexpr bool is_nan(const scalar& a) noexcept { return distill::is_nan(a.value); }

private:
    static constexpr Float smallest = std::numeric_limits<Float>::min();
    static constexpr Float above_minus_one = std::numeric_limits<Float>::epsilon() / 2 - 1;

    static constexpr scalar raw(Float x) noexcept {
        scalar result;
        result.value = x;
        return result;
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
