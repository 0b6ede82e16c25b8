#pragma once

#include <distill/token/centered_log_ratio_advantage.hpp>

namespace distill::inline DISTILL_ABI {

/// On-policy distillation with the row's exact KL(p || q) as baseline.
///
///     coefficient * centered_log_ratio_advantage{}
///
/// Source: "KL for a KL", vOPD (arXiv 2605.07865).
struct vopd {
    using objective_part = composition_part;

    double coefficient = 1.0;

    [[nodiscard]] constexpr auto compose() const { return coefficient * centered_log_ratio_advantage{}; }
};

}  // namespace distill::inline DISTILL_ABI
