#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

namespace distill::inline DISTILL_ABI {

/// The estimators of KL(p || q) from one token y ~ p, with r = q(y) / p(y).
enum class kl_estimate {
    k1,  ///< -log r: unbiased, of either sign
    k2,  ///< (log r)^2 / 2: biased, never negative
    k3,  ///< r - 1 - log r: unbiased, never negative
};

/// Reverse Kullback-Leibler divergence estimated on the sampled token. What is reported and what is descended are two
/// choices: differentiating an estimator's value does not estimate the value's gradient.
///
/// Summand      -log r, (log r)^2 / 2 or r - 1 - log r
/// Derivative   k2: -log r, whose expectation over y ~ p is the gradient of KL(p || q). k3: 1 - r, whose expectation is the
///              gradient of KL(q || p). k1 gives 1 at y, whatever the teacher says: it does not compile
/// Domain       log q(y) is batch.teacher_log_probs, at the student's temperature, or read off dense teacher logits. log r
///              is clamped to [-20, 20], value and derivative, and rows outside are counted as guarded
/// At p = q     value 0, derivative 0, for every token
/// Accuracy     computed once per row in double, from a normaliser that fp32 logits give to 3e-8
/// Source       Schulman 2020, "Approximating KL divergence"; the gradients: Tang and Munos 2025 (arXiv 2506.09477)
template <kl_estimate Value = kl_estimate::k1, kl_estimate Gradient = kl_estimate::k2>
struct kl_estimator : token_term<kl_estimator<Value, Gradient>> {
    static_assert(
        Gradient != kl_estimate::k1,
        "distill: the derivative of k1 = log p - log q is the same for every teacher: descend k2, which is reverse KL, "
        "or k3, which is forward KL");
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs = fields::teacher_log_prob;

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        const detail::held<T> log_ratio(e.log_p - e.teacher_log_prob, T(-log_ratio_guard), T(log_ratio_guard));
        const T excess = expm1(-log_ratio.value);  // r - 1
        return {.value = Value == kl_estimate::k1   ? log_ratio.value
                         : Value == kl_estimate::k2 ? T(0.5) * log_ratio.value * log_ratio.value
                                                    : excess + log_ratio.value,
                .dlogp = Gradient == kl_estimate::k2 ? log_ratio.value : -excess,
                .clipped = T(0.0),
                .guarded = log_ratio.outside};
    }
};

}  // namespace distill::inline DISTILL_ABI
