/// Numbers that are the same for every entry of a row.
#pragma once

#include <distill/core/config.hpp>

namespace distill::inline DISTILL_ABI::row {

/// A number of one value, made before the loop over entries. A number type that has something better than its conversion from
/// double, but no compiler takes it out of a loop, offers it as a static member of that name.
template <class Number>
DISTILL_INLINE constexpr Number row_constant(double x) {
    if constexpr (requires { Number::row_constant(x); })
        return Number::row_constant(x);
    else
        return Number(x);
}

}  // namespace distill::inline DISTILL_ABI::row
