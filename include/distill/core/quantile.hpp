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
    if (below + 1 >= sorted.size()) return sorted.back();
    if (sorted[below + 1] == sorted[below]) return sorted[below];  // infinite ones too
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

}  // namespace distill::inline DISTILL_ABI::detail
