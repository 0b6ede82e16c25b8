#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

namespace distill::inline DISTILL_ABI {

/// On-policy distillation: a policy gradient whose advantage is the log-ratio  A = log q(y) - log p(y)  on the sampled
/// token, held constant. Its expectation over y ~ p is the gradient of KL(p || q).
///
/// Summand      -r A,  r = 1 or p(y) / p_old(y); where r = 1 it is the estimate k1 of KL(p || q)
/// Derivative   -r A at y                      so dL/dz = -r A (e_y - p) / T
/// Domain       log q(y) is batch.teacher_log_probs, or read off dense teacher logits. A is clamped to [floor, ceiling], or
///              set to 0 outside where drops_outside; rows outside are counted as guarded. With importance::ratio A takes
///              batch.old_log_probs in the place of log p, and log r is clamped to [-20, 20]
/// At p = q     value 0, derivative 0, for every token
/// Accuracy     computed once per row in double, from a normaliser that fp32 logits give to 3e-8
/// Source       Lu et al. 2025, "On-Policy Distillation", Thinking Machines; clip and mask of the log-ratio: REOPOLD, as
///              TrOPD (arXiv 2606.01249) describes it
template <importance Importance = importance::none>
struct log_ratio_advantage : token_term<log_ratio_advantage<Importance>> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs =
        fields::teacher_log_prob | (Importance == importance::ratio ? fields::old_log_probs : fields::none);

    double floor = -log_ratio_guard;
    double ceiling = log_ratio_guard;
    bool drops_outside = false;

    constexpr log_ratio_advantage() = default;
    constexpr explicit log_ratio_advantage(double at_least, double at_most = log_ratio_guard, bool drops = false) noexcept
        : floor(at_least), ceiling(at_most), drops_outside(drops) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(floor) && is_finite(ceiling) && floor <= 0.0 && ceiling >= 0.0 && floor >= -1e4 && ceiling <= 1e4
                   ? nullptr
                   : "the bounds satisfy -1e4 <= floor <= 0 <= ceiling <= 1e4";
    }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        const detail::held<T> log_ratio(e.teacher_log_prob - detail::sampling_log_prob<Importance>(e), T(floor), T(ceiling));
        const T kept = drops_outside ? select(log_ratio.outside > T(0.0), T(0.0), log_ratio.value) : log_ratio.value;
        return detail::score_function<Importance>(e, kept, log_ratio.outside);
    }
};

}  // namespace distill::inline DISTILL_ABI
