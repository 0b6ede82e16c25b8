#pragma once

#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Alpha-beta divergence  -1 / (a b) sum_v (q_v^a p_v^b - a / (a + b) q_v^(a + b) - b / (a + b) p_v^(a + b)),  and its
/// limits where a, b or both are 0. (1, 0) is the forward KL, (0, 1) the reverse KL.
///
/// Summand      q^(a + b) (A (p / q)^b - B) / (a + b)  where q is the larger, with A = ((p / q)^a - 1) / a and
///              B = ((p / q)^b - 1) / b; where p is, the same with p for q and a for b
///              (>= 0; the definition, regrouped: no large numbers cancel)
/// Derivative   q^a p^b ((p / q)^a - 1) / a        with respect to log p
/// Domain       a and b in [0, 16]: a negative exponent lets tokens that both lack decide the value. Any p and q where both
///              are positive; where a is 0, q_v > 0 wherever p_v > 0, and where b is 0 the reverse: otherwise large and
///              finite. The pull on a token that the student lacks is q^a p^b / a: b = 0 alone lets it escape
/// At p = q     value 0, derivative 0
/// Accuracy     fp32 at V = 151 936: loss 1e-5 for KL >= 1e-3 and a + b >= 1/4; tests/laws/accuracy.cpp. Below, digits are
///              lost: at a = b = 0 every token weighs the same, also one whose logit is far below the maximum and rounded to
///              that size
/// Source       Cichocki, Cruces and Amari 2011; Wang et al. 2025, ABKD (arXiv 2505.04560), whose default is (0.2, 0.7)
struct alpha_beta : term<alpha_beta> {
    double alpha = 0.2;
    double beta = 0.7;

    constexpr alpha_beta() = default;
    constexpr alpha_beta(double a, double b) noexcept : alpha(a), beta(b) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        const bool finite = is_finite(alpha) && is_finite(beta);
        return finite && alpha >= 0.0 && alpha <= 16.0 && beta >= 0.0 && beta <= 16.0 ? nullptr
                                                                                      : "alpha and beta lie in [0, 16]";
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T y = -abs(e.log_ratio), larger = max(e.log_p, e.log_q);
        const auto student_larger = e.log_ratio > T(0.0);
        const power_of_ratio<T> a(alpha, y), b(beta, y);
        const T teacher_part = a.slope * b.power;
        // An entry that is masked on both sides is absent, also where its power of exponent 0 is 1.
        const T power = select(larger > T(log_probability_floor), exp(T(alpha + beta) * larger), T(0.0));
        const T value =
            alpha + beta > 0x1p-80
                ? T(1.0 / (alpha + beta)) * select(student_larger, b.slope * a.power - a.slope, teacher_part - b.slope)
                : T(0.5) * y * y;
        const T dlogp = select(student_larger, -a.slope, teacher_part);
        return {.value = power * max(value, T(0.0)), .dlogp = power * dlogp};
    }

private:
    /// exp(t y), and (exp(t y) - 1) / t with its limit y at t = 0 and where 1 / t leaves fp32's range.
    template <class T>
    struct power_of_ratio {
        T power{1.0}, slope;

        constexpr power_of_ratio(double t, const T& y) : slope(y) {
            if (t <= 0x1p-80) return;
            const T exponent = T(t) * y;
            power = exp(exponent);  // not 1 + expm1: a token that one side lacks keeps its digits
            slope = expm1(exponent) * T(1.0 / t);
        }
    };
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
