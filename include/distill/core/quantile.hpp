/// Quantiles of sorted numbers.
#pragma once

#include <distill/core/abi.hpp>

#include <cstddef>
#include <span>

namespace distill::inline DISTILL_ABI::detail {

/// The value at `share` of the way up, between neighbours in proportion. There is at least one value.
inline double quantile_of_sorted(std::span<const double> sorted, double share) {
    const double place = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double beyond = place - static_cast<double>(below);
    // Where there is nothing between the neighbours, infinite ones too.
    if (beyond == 0.0 || sorted[below + 1] == sorted[below]) return sorted[below];
    return sorted[below] + beyond * (sorted[below + 1] - sorted[below]);
}

}  // namespace distill::inline DISTILL_ABI::detail
