#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/score_function.hpp>

#include <optional>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Clipped surrogate of PPO and GRPO  -min(r A, clip(r, lower, upper) A),  r = p(y) / p_old(y).
///
/// Summand      -min(r A, clip(r, lower, upper) A); with dual_clip c and A < 0 at most -c A
/// Derivative   -r A at y; 0 where the clip or the guard holds the ratio
/// Domain       0 <= lower <= 1 <= upper: the bounds are ratios, so DAPO's clip-higher is {.lower = 0.8, .upper = 1.28};
///              dual_clip > 1, off unless given. log r is clamped to [-20, 20] and rows outside are counted
/// At p = q     not a divergence: at r = 1 the gradient is the policy gradient's
/// Accuracy     computed once per row in double
/// Source       Schulman et al. 2017 (arXiv 1707.06347); Shao et al. 2024, GRPO (arXiv 2402.03300); Ye et al. 2020, dual
///              clip (arXiv 1912.09729)
struct clipped_surrogate {
    using objective_part = token_part;
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs = fields::advantages | fields::old_log_probs;

    double lower = 0.8;
    double upper = 1.2;
    std::optional<double> dual_clip{};

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        if (const char* const error = detail::ratio_bounds_error(lower, upper)) return error;
        if (dual_clip && !(is_finite(*dual_clip) && *dual_clip > 1.0 && *dual_clip <= 1e6))
            return "dual_clip lies in (1, 1e6]";
        return nullptr;
    }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        token_summand<T> s = detail::ratio_surrogate(e.log_p - e.old_log_prob, e.advantage, lower, upper);
        if (dual_clip) {
            const T zero(0.0), most = -T(*dual_clip) * e.advantage;
            const T held = select(e.advantage < zero, select(s.value > most, T(1.0), zero), zero);
            s.value = select(held > zero, most, s.value);
            s.dlogp = select(held > zero, zero, s.dlogp);
            s.clipped = max(s.clipped, held);
        }
        return s;
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
