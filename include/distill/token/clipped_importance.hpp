#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

namespace distill::inline DISTILL_ABI {

/// CISPO: a policy gradient weighted with the clipped importance ratio, held constant. Unlike clipped_surrogate, a token
/// whose ratio is clipped keeps its gradient.
///
/// Summand      -c A log p(y),  c = clip(r, lower, upper),  r = p(y) / p_old(y)
/// Derivative   -c A at y                      so dL/dz = -c A (e_y - p) / T
/// Domain       0 <= lower <= 1 <= upper: the bounds are ratios. Rows whose ratio is held are counted as clipped, those with
///              log r outside [-20, 20] as guarded
/// At p = q     not a divergence: at r = 1 it is policy_gradient
/// Accuracy     computed once per row in double
/// Source       MiniMax-M1 2025 (arXiv 2506.13585), which bounds the ratio above only
struct clipped_importance : token_term<clipped_importance> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs = fields::advantages | fields::old_log_probs;

    double lower = 0.0;
    double upper = 5.0;

    constexpr clipped_importance() = default;
    constexpr clipped_importance(double least, double largest) noexcept : lower(least), upper(largest) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept { return detail::ratio_bounds_error(lower, upper); }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        const detail::held<T> log_ratio(e.log_p - e.old_log_prob, T(-log_ratio_guard), T(log_ratio_guard));
        const detail::held<T> ratio(exp(log_ratio.value), T(lower), T(upper));
        const T weight = -ratio.value * e.advantage;
        return {.value = weight * e.log_p, .dlogp = weight, .clipped = ratio.outside, .guarded = log_ratio.outside};
    }
};

}  // namespace distill::inline DISTILL_ABI
