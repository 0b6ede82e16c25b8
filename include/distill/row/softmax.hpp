/// Softmax constants of one row, and the entries made from them.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/entry.hpp>
#include <distill/row/polynomial.hpp>
#include <distill/row/row_constant.hpp>
#include <distill/row/row_statistics.hpp>
#include <distill/row/scaled_exponential.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

namespace distill::inline DISTILL_ABI::row {

/// One row's softmax at one temperature, in double. It is inlined everywhere, so that its arithmetic is that of the calling
/// loop, with fused multiplications or without.
struct softmax {
    double maximum = 0.0;
    double inverse_temperature = 1.0;
    double sum = 1.0;  ///< sum_v exp((x_v - maximum) / T)
    double log_sum = 0.0;

    constexpr softmax() = default;
    DISTILL_INLINE constexpr softmax(double row_maximum, double inverse, double row_sum)
        : maximum(row_maximum), inverse_temperature(inverse), sum(row_sum), log_sum(std::log(row_sum)) {}

    [[nodiscard]] DISTILL_INLINE constexpr double log_probability(double logit) const {
        const double log_p = (logit - maximum) * inverse_temperature - log_sum;
        return log_p > log_probability_floor ? log_p : log_probability_floor;
    }
};

template <std::size_t N>
inline constexpr double inverse_factorial = inverse_factorial<N - 1> / static_cast<double>(N);
template <>
inline constexpr double inverse_factorial<0> = 1.0;

/// exp(d) - 1 for |d| < 1/4, to the precision of Real: the first term left out is 2e-8 of the result in float, 1e-17 in
/// double.
template <class Real, class Number>
DISTILL_INLINE constexpr Number small_expm1(const Number& d) {
    constexpr std::size_t terms = sizeof(Real) <= 4 ? 6 : 13;
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) DISTILL_INLINE_LAMBDA {
        return polynomial(d, inverse_factorial<Index + 1>...) * d;
    }(std::make_index_sequence<terms>{});
}

/// x / T_p - y / T_q - shift for x = z - max z and y = w - max w, clamped as an entry's log_ratio is. With the difference of
/// the log-normalisers as shift it is log p - log q.
///
/// p and q are made from the same x and y, so the result is that of logits which differ from the given ones by the rounding
/// of x and y, whatever the level of the rows. It is computed as (x - y T_p / T_q) / T_p - shift: at one temperature the
/// difference is exact where p and q are close, and 0 where they are equal. The shift is carried in two parts.
template <class Number, class Real>
class logit_gap {
public:
    constexpr logit_gap() = default;
    DISTILL_INLINE constexpr logit_gap(double inverse_student, double inverse_teacher, double shift = 0.0)
        : inverse_temperature_(row_constant<Number>(inverse_student)),
          minus_ratio_(row_constant<Number>(-inverse_teacher / inverse_student)) {
        const auto high = static_cast<double>(static_cast<Real>(shift));
        shift_high_ = row_constant<Number>(high);
        shift_low_ = row_constant<Number>(shift - high);
    }

    DISTILL_INLINE constexpr Number operator()(const Number& x, const Number& y) const {
        return clamped(fma(gap(x, y), inverse_temperature_, -shift_high_) - shift_low_);
    }

    /// The same for a shift of 0.
    DISTILL_INLINE constexpr Number unshifted(const Number& x, const Number& y) const {
        return clamped(gap(x, y) * inverse_temperature_);
    }

private:
    DISTILL_INLINE constexpr Number gap(const Number& x, const Number& y) const { return fma(y, minus_ratio_, x); }
    static DISTILL_INLINE constexpr Number clamped(const Number& log_ratio) {
        return clamp_magnitude(log_ratio, Number(-log_probability_floor));
    }

    Number inverse_temperature_{}, minus_ratio_{}, shift_high_{}, shift_low_{};
};

/// Makes the entries of one row: constants broadcast once, then two logits in, an entry out.
template <class Number, class Real>
class entry_maker {
public:
    constexpr entry_maker() = default;
    DISTILL_INLINE constexpr entry_maker(const softmax& student, const softmax& teacher)
        : p_(student),
          q_(teacher),
          gap_(student.inverse_temperature, teacher.inverse_temperature, student.log_sum - teacher.log_sum) {}

    /// p alone, for rows that have terms at single tokens only.
    DISTILL_INLINE constexpr Number probability(const Number& z) const { return p_.probability(z); }

    DISTILL_INLINE constexpr entry<Number> operator()(const Number& z) const {
        const Number zero(0.0);
        return {p_.log_probability(z), p_.probability(z), zero, zero, zero, zero, unmasked(z)};
    }

    /// p - q is computed as q (exp(log_ratio) - 1) where log_ratio is small: it keeps its digits where p and q nearly agree.
    DISTILL_INLINE constexpr entry<Number> operator()(const Number& z, const Number& w) const {
        const Number x = z - p_.maximum, y = at_least(w, Number(masked_logit)) - q_.maximum;
        const Number log_ratio = gap_(x, y);
        const Number p = p_.probability_at(x), q = q_.probability_at(y);
        const Number difference = select(log_ratio * log_ratio < Number(0.0625), q * small_expm1<Real>(log_ratio), p - q);
        return {p_.log_probability_at(x), p, q_.log_probability_at(y), q, log_ratio, difference, unmasked(z)};
    }

private:
    struct side {
        Number maximum, inverse_temperature, log_sum;
        scaled_exponential<Number, true> exponential;

        constexpr side() = default;
        DISTILL_INLINE constexpr explicit side(const softmax& s)
            : maximum(row_constant<Number>(s.maximum)),
              inverse_temperature(row_constant<Number>(s.inverse_temperature)),
              log_sum(row_constant<Number>(s.log_sum)),
              exponential(s.inverse_temperature * log2_e, 1.0 / s.sum) {}

        DISTILL_INLINE constexpr Number probability(const Number& x) const { return probability_at(x - maximum); }
        DISTILL_INLINE constexpr Number log_probability(const Number& x) const { return log_probability_at(x - maximum); }
        /// The same from x less the maximum.
        DISTILL_INLINE constexpr Number probability_at(const Number& d) const { return exponential(d); }
        DISTILL_INLINE constexpr Number log_probability_at(const Number& d) const {
            return at_least(d * inverse_temperature - log_sum, Number(log_probability_floor));
        }
    };

    static DISTILL_INLINE constexpr Number unmasked(const Number& z) {
        return select(z > Number(masked_logit), Number(1.0), Number(0.0));
    }

    side p_, q_;
    logit_gap<Number, Real> gap_;
};

}  // namespace distill::inline DISTILL_ABI::row
