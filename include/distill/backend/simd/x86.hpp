/// x86-64: its instruction sets, which of them a machine has, and their instructions that compilers make of no vector
/// expression.
///
/// Each function has the target of its instruction; it is called from loops whose target includes that one, and inlined into
/// them. Not DISTILL_INLINE, which clang refuses across targets: without optimisation it is a call.
///
/// Assembly, since the compilers' own names for instructions change with their versions, and <immintrin.h> takes g++ two
/// fifths of the time that it takes to parse this library.
#pragma once

#include <distill/backend/simd/target.hpp>

#if defined(DISTILL_FOR_X86)

#include <distill/backend/simd/instruction_set.hpp>
#include <distill/backend/simd/vectors.hpp>

#include <distill/core/config.hpp>

#include <cstdint>

#define DISTILL_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define DISTILL_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))

namespace distill::inline DISTILL_ABI::simd {

/// Bytes of a vector register under the consumer's own flags. It is a template argument of everything compiled with them.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
inline constexpr int baseline_bytes = 64;
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
inline constexpr int baseline_bytes = 32;
#else
inline constexpr int baseline_bytes = 16;
#endif

/// Loops are compiled for the instruction sets beyond the baseline too.
#if defined(DISTILL_BASELINE_ONLY)
inline constexpr bool has_wider_sets = false;
#else
inline constexpr bool has_wider_sets = baseline_bytes < 64;
#endif

/// Of the processor; clang 14 does not know it by name.
inline bool supports_f16c() {
    unsigned leaf = 1, features = 0;
    [[maybe_unused]] unsigned ebx, edx;
    asm("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(features), "=d"(edx));
    return (features >> 29 & 1u) != 0;
}

/// What this machine and its operating system can run, asked once.
inline instruction_set widest_supported() {
    static const instruction_set widest = [] {
        __builtin_cpu_init();
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && supports_f16c();
        const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        return avx512 ? instruction_set::avx512 : avx2 ? instruction_set::avx2 : instruction_set::baseline;
    }();
    return widest;
}

// Flattened: see dispatch.hpp.
template <class Loop>
DISTILL_TARGET_AVX512 DISTILL_FLATTEN DISTILL_OUTLINED void run_avx512(const Loop& loop) {
    loop.template operator()<64>();
}
template <class Loop>
DISTILL_TARGET_AVX2 DISTILL_FLATTEN DISTILL_OUTLINED void run_avx2(const Loop& loop) {
    loop.template operator()<32>();
}

/// Calls loop.template operator()<Bytes>(), compiled for the instruction set whose registers have `Bytes` bytes.
template <int Bytes, class Loop>
DISTILL_INLINE void run_wider(const Loop& loop) {
    if constexpr (Bytes == 64)
        run_avx512(loop);
    else
        run_avx2(loop);
}

/// Nothing is computed across it: what comes after is not rearranged with what came before.
template <class Vector>
DISTILL_INLINE void fence_lanes([[maybe_unused]] Vector& lanes) {
#if defined(__clang__)
    lanes = __arithmetic_fence(lanes);
#elif defined(__ASSOCIATIVE_MATH__)
    asm("" : "+v"(lanes));  // g++'s __builtin_assoc_barrier takes a vector apart
#endif
}

/// 16-bit elements in memory.
template <int Width>
struct halfwords_in_memory {
    typedef std::uint16_t type __attribute__((vector_size(2 * Width), aligned(2), may_alias));
};

template <>
struct instructions<float, 4> {
    using floats = vectors<float, 4>::floats;

    static void raise_to(const floats& x, const floats& bound, floats& clamped) {
#if defined(__AVX__)
        asm("vmaxps {%1, %2, %0|%0, %2, %1}" : "=x"(clamped) : "x"(x), "x"(bound));
#else
        asm("maxps {%1, %0|%0, %1}" : "=x"(clamped) : "x"(x), "0"(bound));
#endif
    }
};

template <>
struct instructions<float, 8> {
    using floats = vectors<float, 8>::floats;
    using integers = vectors<float, 8>::integers;

    DISTILL_TARGET_AVX2 static void broadcast(float x, floats& lanes) {
        asm("vbroadcastss {%1, %0|%0, %1}" : "=x"(lanes) : "x"(x));
    }

    DISTILL_TARGET_AVX2 static void raise_to(const floats& x, const floats& bound, floats& clamped) {
        asm("vmaxps {%1, %2, %0|%0, %2, %1}" : "=x"(clamped) : "x"(x), "x"(bound));
    }

    DISTILL_TARGET_AVX2 static bool any_greater(const integers& a, const integers& b) {
        [[maybe_unused]] integers greater;
        bool found;
        asm("vpcmpgtd {%3, %2, %1|%1, %2, %3}\n\tvptest %1, %1" : "=@ccnz"(found), "=&x"(greater) : "x"(a), "x"(b));
        return found;
    }

    DISTILL_TARGET_AVX2 static void load_halves(const void* source, floats& x) {
        asm("vcvtph2ps {%1, %0|%0, %1}" : "=v"(x) : "m"(*static_cast<const halfwords_in_memory<8>::type*>(source)));
    }

    DISTILL_TARGET_AVX2 static void store_halves(void* destination, const floats& x) {
        asm("vcvtps2ph {$0, %1, %0|%0, %1, 0}" : "=m"(*static_cast<halfwords_in_memory<8>::type*>(destination)) : "v"(x));
    }
};

template <>
struct instructions<float, 16> {
    using floats = vectors<float, 16>::floats;
    using integers = vectors<float, 16>::integers;

    DISTILL_TARGET_AVX512 static void broadcast(float x, floats& lanes) {
        asm("vbroadcastss {%1, %0|%0, %1}" : "=v"(lanes) : "v"(x));
    }

    DISTILL_TARGET_AVX512 static void clamp_to(const floats& a, const floats& bound, floats& clamped) {
        asm("vrangeps {$2, %2, %1, %0|%0, %1, %2, 2}" : "=v"(clamped) : "v"(a), "v"(bound));
    }

    DISTILL_TARGET_AVX512 static bool any_greater(const integers& a, const integers& b) {
        bool found;
        asm("vpcmpgtd {%2, %1, %%k1|k1, %1, %2}\n\tkortestw {%%k1, %%k1|k1, k1}" : "=@ccnz"(found) : "v"(a), "v"(b) : "k1");
        return found;
    }

    DISTILL_TARGET_AVX512 static void load_halves(const void* source, floats& x) {
        asm("vcvtph2ps {%1, %0|%0, %1}" : "=v"(x) : "m"(*static_cast<const halfwords_in_memory<16>::type*>(source)));
    }

    DISTILL_TARGET_AVX512 static void store_halves(void* destination, const floats& x) {
        asm("vcvtps2ph {$0, %1, %0|%0, %1, 0}" : "=m"(*static_cast<halfwords_in_memory<16>::type*>(destination)) : "v"(x));
    }

    DISTILL_TARGET_AVX512 static void look_up(const floats& bits, const floats& low, const floats& high, floats& entries) {
        asm("vpermi2ps {%3, %2, %0|%0, %2, %3}" : "=v"(entries) : "0"(bits), "v"(low), "v"(high));
    }

    DISTILL_TARGET_AVX512 static void scale(const floats& x, const floats& n, const floats& least, floats& scaled) {
        asm("vcmpps {$21, %3, %2, %%k1|k1, %2, %3, 21}\n\tvscalefps {%2, %1, %0%{%%k1%}%{z%}|%0%{k1%}%{z%}, %1, %2}"
            : "=v"(scaled)
            : "v"(x), "v"(n), "v"(least)
            : "k1");
    }
};

}  // namespace distill::inline DISTILL_ABI::simd

#endif
