#pragma once

#include <distill/core/reduction.hpp>

namespace distill::inline DISTILL_ABI {

/// Mean over active rows  sum_i w_i l_i / sum_i w_i.
/// `token_mean{d}` divides by d instead: the sum of weights over all ranks or accumulation steps.
struct token_mean : optional_denominator {
    using optional_denominator::optional_denominator;

    static constexpr bool needs_sequences = false;

    [[nodiscard]] constexpr double sequence_factor(double) const noexcept { return 1.0; }
    [[nodiscard]] constexpr double denominator(const row_totals& rows) const noexcept { return supplied_or(rows.weight); }
};

}  // namespace distill::inline DISTILL_ABI
