#pragma once

#include <distill/core/reduction.hpp>

namespace distill::inline DISTILL_ABI {

/// Mean over sequences of the weighted sum over their rows  (1 / S) sum_s sum_{i in s} w_i l_i.
/// S counts the sequences that have an active row; `sequence_mean_of_sums{d}` divides by d instead.
struct sequence_mean_of_sums : optional_denominator {
    using optional_denominator::optional_denominator;

    static constexpr bool needs_sequences = true;

    [[nodiscard]] constexpr double sequence_factor(double) const noexcept { return 1.0; }
    [[nodiscard]] constexpr double denominator(const row_totals& rows) const noexcept {
        return supplied_or(static_cast<double>(rows.active_sequences));
    }
};

}  // namespace distill::inline DISTILL_ABI
