#pragma once

#include <distill/core/number.hpp>
#include <distill/objective/term.hpp>

#include <cmath>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// The loss of a draft model that begins far from its target:  a KL(q || p) + (1 - a) TV(p, q),  a = exp(-eta alpha) found
/// in each row and held constant, alpha = sum_v min(p_v, q_v) the probability that a drafted token is accepted. Where
/// nothing is accepted it is forward KL; the more is, the more it is total variation, which is 1 - alpha.
///
/// Summand      a (p - q - q (log p - log q)) + (1 - a) 1/2 |p - q|     (>= 0)
/// Derivative   a (p - q) + (1 - a) 1/2 p sign(p - q)                   with respect to log p; 0 where p = q
/// Domain       0 <= eta <= 1e4; at eta = 0 it is forward_kl. alpha costs one more sweep over the row
/// At p = q     value 0, derivative 0
/// Accuracy     fp32: as forward_kl and total_variation
/// Source       the mixed draft loss of speculators (arXiv 2602.23881), whose eta is 3
struct acceptance_mix : term<acceptance_mix> {
    double eta = 3.0;

    constexpr acceptance_mix() = default;
    constexpr explicit acceptance_mix(double rate) noexcept : eta(rate) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(eta) && eta >= 0.0 && eta <= 1e4 ? nullptr : "eta lies in [0, 1e4]";
    }

    template <class Row>
    constexpr acceptance_mix for_row(const Row& row) const {
        acceptance_mix fitted = *this;
        fitted.forward_share_ = std::exp(-eta * row.sum([](const auto& e) { return min(e.p, e.q); }));
        return fitted;
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T a(forward_share_), half_rest(0.5 * (1.0 - forward_share_)), zero(0.0), of_sign = half_rest * e.p;
        return {
            .value = max(a * (e.difference - e.q * e.log_ratio), zero) + half_rest * abs(e.difference),
            .dlogp = a * e.difference + select(e.difference > zero, of_sign, select(e.difference < zero, -of_sign, zero))};
    }

private:
    double forward_share_ = 1.0;
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
