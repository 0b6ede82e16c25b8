#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

namespace distill::inline DISTILL_ABI {

/// On-policy distillation toward a mixture: a policy gradient whose advantage is  A = log(a q(y) / p(y) + 1 - a),  held
/// constant; never below log(1 - a). Its expectation over y ~ p is the gradient of jensen_shannon{a} divided by 1 - a.
///
/// Summand      -r A,  r = 1 or p(y) / p_old(y)
/// Derivative   -r A at y                      so dL/dz = -r A (e_y - p) / T
/// Domain       0 < a < 1; a = 1 is log_ratio_advantage. log q(y) is batch.teacher_log_probs, or read off dense teacher
///              logits; log q - log p is clamped to at most 20 and rows above are counted as guarded. With importance::ratio
///              A takes batch.old_log_probs in the place of log p, and log r is clamped to [-20, 20]. Returns over later
///              tokens and their normalisation are clipped_surrogate's advantages, not part of this term
/// At p = q     value 0, derivative 0, for every token
/// Accuracy     computed once per row in double
/// Source       TOP-D (arXiv 2607.04751), whose a is 0.1 or 0.2
template <importance Importance = importance::none>
struct mixture_advantage : token_term<mixture_advantage<Importance>> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs =
        fields::teacher_log_prob | (Importance == importance::ratio ? fields::old_log_probs : fields::none);

    double teacher_share = 0.1;

    constexpr mixture_advantage() = default;
    constexpr explicit mixture_advantage(double share_of_teacher) noexcept : teacher_share(share_of_teacher) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(teacher_share) && teacher_share > 0.0 && teacher_share < 1.0
                   ? nullptr
                   : "teacher_share lies strictly between 0 and 1";
    }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        // Below, log(1 - a) is the bound: q / p = exp(-1000) is 0 beside it.
        const detail::held<T> log_ratio(e.teacher_log_prob - detail::sampling_log_prob<Importance>(e), T(-1000.0),
                                        T(log_ratio_guard));
        const T guarded = select(log_ratio.value < T(log_ratio_guard), T(0.0), log_ratio.outside);
        return detail::score_function<Importance>(e, log1p(T(teacher_share) * expm1(log_ratio.value)), guarded);
    }
};

}  // namespace distill::inline DISTILL_ABI
