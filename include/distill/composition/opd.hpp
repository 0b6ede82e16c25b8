#pragma once

#include <distill/token/log_ratio_advantage.hpp>

namespace distill::inline DISTILL_ABI {

/// On-policy distillation: importance-weighted policy gradient with the log-ratio of teacher to sampling student as
/// advantage.
///
///     coefficient * log_ratio_advantage<importance::ratio>{}
///
/// No clip of the importance ratio; no discounted sum of later log-ratios. An outcome reward is one more term, with
/// the same ratio and bounds that never hold it: `opd{} + clipped_surrogate{.lower = 0.0, .upper = 1e6}`.
/// Source: Lu et al. 2025, "On-Policy Distillation", Thinking Machines, and its public code.
struct opd {
    using objective_part = composition_part;

    double coefficient = 1.0;

    [[nodiscard]] constexpr auto compose() const { return coefficient * log_ratio_advantage<importance::ratio>{}; }
};

}  // namespace distill::inline DISTILL_ABI
