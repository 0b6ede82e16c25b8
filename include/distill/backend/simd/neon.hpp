/// AArch64: the instructions of NEON that compilers make of no vector expression. All of them, fused multiply-add and the
/// conversion of half among them, are in every AArch64 processor.
#pragma once

#include <distill/backend/simd/target.hpp>

#if defined(DISTILL_FOR_NEON)

#include <distill/backend/simd/one_set.hpp>
#include <distill/backend/simd/vectors.hpp>

#include <distill/core/config.hpp>

#include <arm_neon.h>

#include <cstring>

namespace distill::inline DISTILL_ABI::simd {

template <>
struct instructions<float, 4> {
    using lanes = vectors<float, 4>;

    static DISTILL_INLINE void raise_to(const lanes::floats& x, const lanes::floats& bound, lanes::floats& raised) {
        raised = vmaxq_f32(x, bound);
    }

    static DISTILL_INLINE bool any_greater(const lanes::integers& a, const lanes::integers& b) {
        return vmaxvq_u32(vcgtq_s32(a, b)) != 0;
    }

    static DISTILL_INLINE void load_halves(const void* source, lanes::floats& x) {
        float16x4_t halves;
        std::memcpy(&halves, source, sizeof halves);
        x = vcvt_f32_f16(halves);
    }

    static DISTILL_INLINE void store_halves(void* destination, const lanes::floats& x) {
        const float16x4_t halves = vcvt_f16_f32(x);
        std::memcpy(destination, &halves, sizeof halves);
    }
};

/// Nothing is computed across it: what comes after is not rearranged with what came before. Not __arithmetic_fence, which
/// clang 14 has for x86 alone; it defines no macro for -fassociative-math.
template <class Vector>
DISTILL_INLINE void fence_lanes([[maybe_unused]] Vector& lanes) {
#if defined(__clang__) || defined(__ASSOCIATIVE_MATH__)
    asm("" : "+w"(lanes));  // g++'s __builtin_assoc_barrier takes a vector apart
#endif
}

}  // namespace distill::inline DISTILL_ABI::simd

#endif
