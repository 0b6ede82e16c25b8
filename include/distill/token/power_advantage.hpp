#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Bounded on-policy distillation: a policy gradient whose advantage is  A = q(y)^a - p(y)^a, in [-1, 1], held constant.
///
/// Summand      -r A,  r = 1 or p(y) / p_old(y)
/// Derivative   -r A at y                      so dL/dz = -r A (e_y - p) / T
/// Domain       0 < a <= 10. log q(y) is batch.teacher_log_probs, held to at most 0, or read off dense teacher logits. With
///              importance::ratio A takes batch.old_log_probs in the place of log p, and log r is clamped to [-20, 20] and
///              counted
/// At p = q     value 0, derivative 0, for every token
/// Accuracy     computed once per row in double; the two powers are subtracted without cancellation
/// Source       PowerOPD (arXiv 2606.17199)
template <importance Importance = importance::none>
struct power_advantage : token_term<power_advantage<Importance>> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs =
        fields::teacher_log_prob | (Importance == importance::ratio ? fields::old_log_probs : fields::none);

    double exponent = 1.0;

    constexpr power_advantage() = default;
    constexpr explicit power_advantage(double power) noexcept : exponent(power) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(exponent) && exponent > 0.0 && exponent <= 10.0 ? nullptr : "exponent lies in (0, 10]";
    }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        const T a(exponent), zero(0.0), log_p = min(detail::sampling_log_prob<Importance>(e), zero),
                                        log_q = min(e.teacher_log_prob, zero);
        // The larger power times 1 - exp(-a |log ratio|).
        const T size = -exp(a * max(log_p, log_q)) * expm1(-a * abs(log_q - log_p));
        return detail::score_function<Importance>(e, select(log_q < log_p, -size, size), zero);
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
