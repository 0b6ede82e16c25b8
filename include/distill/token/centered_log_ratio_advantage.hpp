#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

namespace distill::inline DISTILL_ABI {

/// On-policy distillation with a control variate: the log-ratio's exact mean over the vocabulary, KL(p || q), is taken off
/// the advantage  A = log q(y) - log p(y) + KL(p || q).  The same expected gradient as log_ratio_advantage, with less
/// variance.
///
/// Summand      log p(y) - log q(y): the estimate k1 of KL(p || q)
/// Derivative   -A at y                        so dL/dz = -A (e_y - p) / T, A held constant
/// Domain       dense teacher logits; log q(y) is read off them, or is batch.teacher_log_probs. The log-ratio is clamped to
///              [-20, 20] and rows outside are counted as guarded
/// At p = q     value 0, derivative 0, for every token
/// Accuracy     the baseline is a sum over the vocabulary in the type computed in; the rest once per row in double
/// Source       "KL for a KL", vOPD (arXiv 2605.07865)
struct centered_log_ratio_advantage : token_term<centered_log_ratio_advantage> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs = fields::teacher | fields::teacher_log_prob;

    template <class Row>
    constexpr centered_log_ratio_advantage for_row(const Row& row) const {
        centered_log_ratio_advantage fitted = *this;
        fitted.divergence_ = row.sum([](const auto& e) { return e.p * e.log_ratio - e.difference; });
        return fitted;
    }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        const detail::held<T> log_ratio(e.log_p - e.teacher_log_prob, T(-log_ratio_guard), T(log_ratio_guard));
        return {.value = log_ratio.value,
                .dlogp = log_ratio.value - T(divergence_),
                .clipped = T(0.0),
                .guarded = log_ratio.outside};
    }

private:
    double divergence_ = 0.0;
};

}  // namespace distill::inline DISTILL_ABI
