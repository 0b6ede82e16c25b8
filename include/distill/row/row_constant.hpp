/// Numbers that are the same for every entry of a row.
#pragma once

#include <distill/core/config.hpp>

namespace distill::inline DISTILL_ABI::row {

/// A number of one value, made before the loop over entries. A number type may have a static member of this name, which is
/// faster than its conversion from double.
template <class Number>
DISTILL_INLINE constexpr Number row_constant(double x) {
    if constexpr (requires { Number::row_constant(x); })
        return Number::row_constant(x);
    else
        return Number(x);
}

}  // namespace distill::inline DISTILL_ABI::row
