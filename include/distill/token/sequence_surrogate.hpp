#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

namespace distill::inline DISTILL_ABI {

/// GSPO: the clipped surrogate with one importance ratio per sequence,  s = exp(mean over its tokens of log p - log p_old).
///
/// Summand      -min(s A, clip(s, lower, upper) A)
/// Derivative   -s A at y; 0 where the clip or the guard holds the ratio. The sequence's gradient is the mean of its rows',
///              since every token has 1 / length of log s; any mean over tokens or sequences is exact
/// Domain       0 <= lower <= 1 <= upper, ratios. log s is batch.sequence_log_ratios: the present student's
///              log-probabilities less the old ones (per_token of cross_entropy on the sampled tokens), through
///              sequence_means of training/sequence_means.hpp; it is clamped to [-20, 20] and rows outside are counted as
///              guarded
/// At p = q     not a divergence: at s = 1 it is policy_gradient
/// Accuracy     computed once per row in double
/// Source       Zheng et al. 2025, GSPO (arXiv 2507.18071), whose bounds are 1 - 3e-4 and 1 + 4e-4
struct sequence_surrogate : token_term<sequence_surrogate> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs = fields::advantages | fields::sequence_log_ratios;

    double lower = 1.0 - 3e-4;
    double upper = 1.0 + 4e-4;

    constexpr sequence_surrogate() = default;
    constexpr sequence_surrogate(double least, double largest) noexcept : lower(least), upper(largest) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept { return detail::ratio_bounds_error(lower, upper); }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        return detail::ratio_surrogate(e.sequence_log_ratio, e.advantage, lower, upper);
    }
};

}  // namespace distill::inline DISTILL_ABI
