/// What a call returns.
#pragma once

#include <distill/core/abi.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// The loss, and the counts a trainer logs.
struct loss_result {
    double value = 0.0;                 ///< the reduced loss; NaN if any active row is non-finite; 0 without active rows
    double denominator = 0.0;           ///< what the weighted sum was divided by; 0 without active rows
    std::ptrdiff_t active_rows = 0;     ///< rows that are not masked
    std::ptrdiff_t nonfinite_rows = 0;  ///< active rows that hold NaN, +infinity or nothing but -infinity
    std::ptrdiff_t clipped_rows = 0;    ///< rows whose importance ratio a clip holds
    std::ptrdiff_t guarded_rows = 0;    ///< rows whose log-ratio was outside the guard

    /// Share of the active rows that are clipped.
    [[nodiscard]] constexpr double clip_fraction() const noexcept {
        return active_rows == 0 ? 0.0 : static_cast<double>(clipped_rows) / static_cast<double>(active_rows);
    }
};

}  // namespace distill::inline DISTILL_ABI
