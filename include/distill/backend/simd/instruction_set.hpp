/// One loop, compiled for several instruction sets, chosen when it runs.
///
/// A header-only library is compiled with its consumer's flags. The loops carry their own target attributes instead, with
/// everything they call inlined into them, so a consumer who sets no flag gets the machine's full width. A consumer who defines
/// DISTILL_BASELINE_ONLY, for a whole program, gets what the flags allow and no more, in half the compile time and a third of
/// the code. What the flags already have is not compiled again.
#pragma once

#include <distill/core/config.hpp>

namespace distill::inline DISTILL_ABI {

/// Instruction sets in ascending order. `baseline` is what the consumer's own flags allow.
enum class instruction_set { baseline, avx2, avx512 };

namespace simd {

#if defined(__x86_64__)
#define DISTILL_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define DISTILL_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#endif

/// Bytes of a vector register under the consumer's own flags. It is a template argument of everything compiled with them:
/// translation units with different flags do not share symbols.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
inline constexpr int baseline_bytes = 64;
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
inline constexpr int baseline_bytes = 32;
#else
inline constexpr int baseline_bytes = 16;
#endif

#if defined(__x86_64__)
/// Of the processor; clang 14 does not know it by name.
inline bool supports_f16c() {
    unsigned leaf = 1, features = 0;
    [[maybe_unused]] unsigned ebx, edx;
    asm("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(features), "=d"(edx));
    return (features >> 29 & 1u) != 0;
}
#endif

/// What this machine and its operating system can run, asked once.
inline instruction_set widest_supported() {
#if defined(__x86_64__)
    static const instruction_set widest = [] {
        __builtin_cpu_init();
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && supports_f16c();
        const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        return avx512 ? instruction_set::avx512 : avx2 ? instruction_set::avx2 : instruction_set::baseline;
    }();
    return widest;
#else
    return instruction_set::baseline;
#endif
}

// Flattened: g++ then inlines through every level, clang through the first (DISTILL_AROUND_USER_CODE). tests/codegen holds it.
template <int Bytes, class Loop>
DISTILL_FLATTEN DISTILL_OUTLINED void run_baseline(const Loop& loop) {
    loop.template operator()<Bytes>();
}
#if defined(__x86_64__) && !defined(DISTILL_BASELINE_ONLY)
template <class Loop>
DISTILL_TARGET_AVX512 DISTILL_FLATTEN DISTILL_OUTLINED void run_avx512(const Loop& loop) {
    loop.template operator()<64>();
}
template <class Loop>
DISTILL_TARGET_AVX2 DISTILL_FLATTEN DISTILL_OUTLINED void run_avx2(const Loop& loop) {
    loop.template operator()<32>();
}
#endif

/// Calls loop.template operator()<Bytes>() in a function of its own, compiled for the instruction set whose registers have `Bytes`
/// bytes: a part of a loop that other loops have too is compiled once.
template <int Bytes, class Loop>
DISTILL_INLINE void run_outlined(const Loop& loop) {
    if constexpr (Bytes == baseline_bytes) run_baseline<Bytes>(loop);
#if defined(__x86_64__) && !defined(DISTILL_BASELINE_ONLY)
    else if constexpr (Bytes == 64)
        run_avx512(loop);
    else
        run_avx2(loop);
#endif
}

/// Calls loop.template operator()<bytes>() with `bytes` the register width of the widest instruction set that the machine
/// supports and `limit` allows. The loop's call operator is always inlined.
template <class Loop>
void dispatch(instruction_set limit, const Loop& loop) {
#if defined(__x86_64__) && !defined(DISTILL_BASELINE_ONLY)
    if constexpr (baseline_bytes < 64) {
        const instruction_set chosen = widest_supported() < limit ? widest_supported() : limit;
        if (chosen == instruction_set::avx512) return run_avx512(loop);
        if constexpr (baseline_bytes < 32)
            if (chosen == instruction_set::avx2) return run_avx2(loop);
    }
#endif
    static_cast<void>(limit);
    run_baseline<baseline_bytes>(loop);
}

}  // namespace simd
}  // namespace distill::inline DISTILL_ABI
