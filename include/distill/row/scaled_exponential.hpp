/// The exponentials of a row: the same scale, and mostly the same factor, for every entry.
#pragma once

#include <distill/core/config.hpp>
#include <distill/row/row_constant.hpp>

namespace distill::inline DISTILL_ABI::row {

/// 2^(scale x) factor, or 2^(scale x) without HasFactor, for scale x <= 127; 0 at x = -infinity, NaN at NaN. Constants are
/// broadcast once for a row. A number type that has a faster way than a multiplication before and after exp2 specialises it.
template <class Number, bool HasFactor>
class scaled_exponential {
public:
    constexpr scaled_exponential() = default;
    DISTILL_INLINE constexpr explicit scaled_exponential(double scale, double factor = 1.0)
        : scale_(row_constant<Number>(scale)), factor_(row_constant<Number>(factor)) {}

    DISTILL_INLINE constexpr Number operator()(const Number& x) const {
        if constexpr (HasFactor)
            return exp2(x * scale_) * factor_;
        else
            return exp2(x * scale_);
    }

private:
    Number scale_{}, factor_{};
};

}  // namespace distill::inline DISTILL_ABI::row
