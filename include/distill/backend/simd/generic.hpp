/// What loops know of a processor without a header of its own: 16 bytes of vector, as the compiler lowers them.
#pragma once

#include <distill/backend/simd/target.hpp>

#if defined(DISTILL_FOR_GENERIC)

#include <distill/backend/simd/one_set.hpp>

#include <distill/core/config.hpp>

namespace distill::inline DISTILL_ABI::simd {

/// Nothing is computed across it: what comes after is not rearranged with what came before.
template <class Vector>
DISTILL_INLINE void fence_lanes([[maybe_unused]] Vector& lanes) {
#if defined(__clang__) && defined(__FAST_MATH__)
    asm("" : "+m"(lanes));  // __arithmetic_fence is an error where clang does not have it
#elif !defined(__clang__) && defined(__ASSOCIATIVE_MATH__)
    lanes = __builtin_assoc_barrier(lanes);
#endif
}

}  // namespace distill::inline DISTILL_ABI::simd

#endif
