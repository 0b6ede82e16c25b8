#pragma once

#include <distill/core/reduction.hpp>

namespace distill::inline DISTILL_ABI {

/// Sum over active rows  sum_i w_i l_i. `token_sum{d}` divides it by d.
struct token_sum : optional_denominator {
    using optional_denominator::optional_denominator;

    static constexpr bool needs_sequences = false;

    [[nodiscard]] constexpr double sequence_factor(double) const noexcept { return 1.0; }
    [[nodiscard]] constexpr double denominator(const row_totals&) const noexcept { return supplied_or(1.0); }
};

}  // namespace distill::inline DISTILL_ABI
