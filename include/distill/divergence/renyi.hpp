#pragma once

#include <distill/core/number.hpp>
#include <distill/objective/term.hpp>

#include <array>
#include <cmath>
#include <type_traits>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Renyi divergence of the teacher from the student,  log(S) / (a - 1),  S = sum_v q_v^a p_v^(1 - a): forward KL as a goes
/// to 1, -2 log sum sqrt(p q) at 1/2. A function of a sum over the row: S is found in for_row, and so is its derivative's
/// factor.
///
/// Summand      q log(S) / (a - 1), which sums to the divergence
/// Derivative   p - q^a p^(1 - a) / S, with respect to log p. p is added to it, which leaves the gradient as it is
/// Domain       0 < a < 1. S costs one more sweep over the row, and counts as 1e-30 at least
/// At p = q     value 0, derivative 0
/// Accuracy     fp32: as forward_kl; S - 1 is summed, not S. Of order 1e-7 / (1 - a) where a is next to 1
/// Source       Renyi 1961; van Erven and Harremoes 2014 (arXiv 1206.2459)
struct renyi : term<renyi> {
    double order = 0.5;

    constexpr renyi() = default;
    constexpr explicit renyi(double a) noexcept : order(a) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(order) && order > 0.0 && order < 1.0 ? nullptr : "order lies strictly between 0 and 1";
    }

    template <class Row>
    constexpr renyi for_row(const Row& row) const {
        const double a = order;
        // S - 1, of which (1 - a) (p - q) takes off what is of first order: it sums to 0. And S, for where it is small.
        const auto [excess, whole] = row.template sums<2>([a](const auto& e) {
            using number = std::remove_cvref_t<decltype(e.p)>;
            const number less_q = power_less_q(e, number(1.0 - a), number(0.0));
            return std::array{less_q - number(1.0 - a) * e.difference, max(less_q + e.q, number(0.0))};
        });
        renyi fitted = *this;
        if (excess > -0.5)
            fitted.log_sum_ = excess < 0.0 ? std::log1p(excess) : 0.0;
        else
            fitted.log_sum_ = std::log(whole > least ? whole : least);
        return fitted;
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        return {.value = e.q * T(log_sum_ / (order - 1.0)),
                .dlogp = e.difference - power_less_q(e, T(1.0 - order), T(-log_sum_))};
    }

private:
    static constexpr double least = 1e-30;

    /// q (p / q)^b exp(c) - q, with the digits of a small log-ratio.
    template <class T>
    static constexpr T power_less_q(const entry<T>& e, const T& b, const T& c) {
        const T bound(0.25), exponent = b * e.log_ratio + c;
        const T power = exp(min(e.log_q + b * e.log_ratio + c, T(80.0)));
        return select(abs(exponent) < bound, e.q * expm1(min(exponent, bound)), power - e.q);
    }

    double log_sum_ = 0.0;
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
