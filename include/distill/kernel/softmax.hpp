/// Softmax constants of one row, and the entries made from them.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/entry.hpp>
#include <distill/kernel/row_statistics.hpp>

#include <array>
#include <cmath>
#include <cstddef>

namespace distill::kernel {

/// One row's softmax at one temperature, in double.
struct softmax {
    double maximum = 0.0;
    double inverse_temperature = 1.0;
    double sum = 1.0;      ///< sum_v exp((x_v - maximum) / T)
    double log_sum = 0.0;

    constexpr softmax() = default;
    softmax(double row_maximum, double inverse, double row_sum)
        : maximum(row_maximum), inverse_temperature(inverse), sum(row_sum), log_sum(std::log(row_sum)) {}

    [[nodiscard]] double log_probability(double logit) const {
        const double log_p = (logit - maximum) * inverse_temperature - log_sum;
        return log_p > log_probability_floor ? log_p : log_probability_floor;
    }
};

/// 1/1!, 1/2!, ...: (exp(d) - 1) / d by its series.
template <std::size_t Count>
constexpr std::array<double, Count> inverse_factorials() {
    std::array<double, Count> coefficients{};
    double factorial = 1.0;
    for (std::size_t k = 0; k < Count; ++k) {
        factorial *= static_cast<double>(k + 1);
        coefficients[k] = 1.0 / factorial;
    }
    return coefficients;
}

/// exp(d) - 1 for |d| < 1/4, to the precision of Real: the first term left out is 2e-8 of the result in float, 1e-17 in double.
template <class Real, class Number>
DISTILL_INLINE constexpr Number small_expm1(const Number& d) {
    constexpr std::size_t terms = sizeof(Real) <= 4 ? 6 : 13;
    constexpr auto coefficients = inverse_factorials<terms>();
    Number series(coefficients[terms - 1]);
    for (std::size_t k = terms - 1; k > 0; --k) series = fma(series, d, Number(coefficients[k - 1]));
    return series * d;
}

/// Makes the entries of one row: constants broadcast once, then two logits in, an entry out.
template <class Number, class Real>
class entry_maker {
public:
    DISTILL_INLINE constexpr entry_maker() = default;
    DISTILL_INLINE constexpr entry_maker(const softmax& student, const softmax& teacher)
        : p_(student),
          q_(teacher),
          temperature_gap_(student.inverse_temperature - teacher.inverse_temperature) {
        const double shift = (student.maximum * student.inverse_temperature + student.log_sum) -
                             (teacher.maximum * teacher.inverse_temperature + teacher.log_sum);
        const auto high = static_cast<double>(static_cast<Real>(shift));
        shift_high_ = Number(high);
        shift_low_ = Number(shift - high);
    }

    /// p alone: what a row needs whose terms live at single tokens.
    DISTILL_INLINE constexpr Number probability(const Number& z) const { return p_.probability(z); }

    DISTILL_INLINE constexpr entry<Number> operator()(const Number& z) const {
        const Number zero(0.0);
        return {p_.log_probability(z), p_.probability(z), zero, zero, zero, zero};
    }

    /// log p - log q = (z - w) / T - shift: z - w is exact where the two are close, and the shift is carried in two parts.
    /// p - q = q (exp(log_ratio) - 1) where that is small, so that entries on which p and q agree are not noise.
    DISTILL_INLINE constexpr entry<Number> operator()(const Number& z, const Number& w) const {
        const Number limit(-log_probability_floor), near(0.25), masked(masked_logit);
        const Number held_z = max(z, masked), held_w = max(w, masked);
        const Number scaled = fma(held_z - held_w, p_.inverse_temperature, held_w * temperature_gap_);
        const Number log_ratio = max(min((scaled - shift_high_) - shift_low_, limit), -limit);
        const Number p = p_.probability(z), q = q_.probability(w);
        const Number difference = select(abs(log_ratio) < near, q * small_expm1<Real>(log_ratio), p - q);
        return {p_.log_probability(z), p, q_.log_probability(w), q, log_ratio, difference};
    }

private:
    struct side {
        Number maximum, scale, inverse_sum, inverse_temperature, log_sum;

        DISTILL_INLINE constexpr side() = default;
        DISTILL_INLINE constexpr explicit side(const softmax& s)
            : maximum(s.maximum),
              scale(s.inverse_temperature * log2_e),
              inverse_sum(1.0 / s.sum),
              inverse_temperature(s.inverse_temperature),
              log_sum(s.log_sum) {}

        DISTILL_INLINE constexpr Number probability(const Number& x) const {
            return exp2((x - maximum) * scale) * inverse_sum;
        }
        DISTILL_INLINE constexpr Number log_probability(const Number& x) const {
            return max((x - maximum) * inverse_temperature - log_sum, Number(log_probability_floor));
        }
    };

    side p_, q_;
    Number temperature_gap_{}, shift_high_{}, shift_low_{};
};

}  // namespace distill::kernel
