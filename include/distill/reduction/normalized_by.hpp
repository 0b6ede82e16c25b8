#pragma once

#include <distill/core/reduction.hpp>

namespace distill::inline DISTILL_ABI {

/// Sum over active rows divided by a constant  sum_i w_i l_i / c, whatever the lengths: Dr. GRPO, whose c is the number of
/// rollouts times the longest length allowed. Source: Liu et al. 2025 (arXiv 2503.20783).
struct normalized_by : optional_denominator {
    static constexpr bool needs_sequences = false;

    constexpr explicit normalized_by(double c) noexcept : optional_denominator(c) {}

    [[nodiscard]] constexpr double sequence_factor(double) const noexcept { return 1.0; }
    [[nodiscard]] constexpr double denominator(const row_totals&) const noexcept { return supplied; }
};

}  // namespace distill::inline DISTILL_ABI
