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

/// One row's softmax at one temperature, in double. Inlined everywhere, so that its arithmetic is that of the loop it is called
/// in, with fused multiplications or without, whatever else is in that loop.
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
    }
    (std::make_index_sequence<terms>{});
}

/// (z - w) / T_p + (w - max w) (1 / T_p - 1 / T_q) - shift, held as an entry's log_ratio is. With a shift of (max z - max w) / T_p and
/// the difference of the log-normalisers it is log p - log q. z - w is exact where the two are close, the second part is 0 at one
/// temperature, and the shift is carried in two parts.
template <class Number, class Real>
class logit_gap {
public:
    constexpr logit_gap() = default;
    DISTILL_INLINE constexpr logit_gap(double inverse_student, double inverse_teacher, double shift)
        : inverse_temperature_(row_constant<Number>(inverse_student)),
          temperature_gap_(row_constant<Number>(inverse_student - inverse_teacher)) {
        const auto high = static_cast<double>(static_cast<Real>(shift));
        shift_high_ = row_constant<Number>(high);
        shift_low_ = row_constant<Number>(shift - high);
    }

    DISTILL_INLINE constexpr Number operator()(const Number& z, const Number& held_w, const Number& w_below_maximum) const {
        const Number shifted = fma(z - held_w, inverse_temperature_, fma(w_below_maximum, temperature_gap_, -shift_high_));
        return clamp_magnitude(shifted - shift_low_, Number(-log_probability_floor));
    }

private:
    Number inverse_temperature_{}, temperature_gap_{}, shift_high_{}, shift_low_{};
};

/// Makes the entries of one row: constants broadcast once, then two logits in, an entry out.
template <class Number, class Real>
class entry_maker {
public:
    constexpr entry_maker() = default;
    DISTILL_INLINE constexpr entry_maker(const softmax& student, const softmax& teacher)
        : p_(student),
          q_(teacher),
          gap_(student.inverse_temperature, teacher.inverse_temperature,
               (student.maximum - teacher.maximum) * student.inverse_temperature + (student.log_sum - teacher.log_sum)) {}

    /// p alone: what a row needs whose terms live at single tokens.
    DISTILL_INLINE constexpr Number probability(const Number& z) const { return p_.probability(z); }

    DISTILL_INLINE constexpr entry<Number> operator()(const Number& z) const {
        const Number zero(0.0);
        return {p_.log_probability(z), p_.probability(z), zero, zero, zero, zero};
    }

    /// p - q = q (exp(log_ratio) - 1) where that is small, so that entries on which p and q agree are not noise.
    DISTILL_INLINE constexpr entry<Number> operator()(const Number& z, const Number& w) const {
        const Number held_w = at_least(w, Number(masked_logit));
        const Number below_maximum = held_w - q_.maximum;
        const Number log_ratio = gap_(z, held_w, below_maximum);
        const Number p = p_.probability(z), q = q_.probability_at(below_maximum);
        const Number difference = select(log_ratio * log_ratio < Number(0.0625), q * small_expm1<Real>(log_ratio), p - q);
        return {p_.log_probability(z), p, q_.log_probability_at(below_maximum), q, log_ratio, difference};
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

    side p_, q_;
    logit_gap<Number, Real> gap_;
};

}  // namespace distill::inline DISTILL_ABI::row
