/// The inline namespace of everything that is compiled with the consumer's flags.
///
/// A linker keeps one of several inline functions of the same name. If translation units with different instruction sets
/// shared names, a program could call a function that was compiled for a wider processor than the one it runs on. So
/// DISTILL_ABI names the version and every flag that changes what a compiler makes of these headers: translation units with
/// different flags share no function, and each runs wherever its own flags allow. A type of this namespace is another type
/// under other flags: a function of yours that takes one and is called from a translation unit with other flags does not
/// link.
///
/// What has to be one thing in the whole program, the exception and the error handler, is in DISTILL_PROGRAM_ABI, which
/// names the version alone.
#pragma once

#include <distill/core/version.hpp>

// Every header includes this one before anything else, so that whoever cannot compile the library reads why first.
#if defined(_MSC_VER) && !defined(__clang__)
#error "distill: needs g++ 12 or clang 14, or newer: MSVC does not compile it"
#elif defined(__clang__) && __clang_major__ < 14
#error "distill: needs g++ 12 or clang 14, or newer: this clang is older"
#elif defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#error "distill: needs g++ 12 or clang 14, or newer: this g++ is older"
#elif __cplusplus < 202002L
#error "distill: needs C++20: compile with -std=c++20"
#endif

// The vector registers.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define DISTILL_ABI_VECTORS avx512
#elif defined(__AVX512F__)
#define DISTILL_ABI_VECTORS avx512f
#elif defined(__AVX2__)
#define DISTILL_ABI_VECTORS avx2
#elif defined(__AVX__)
#define DISTILL_ABI_VECTORS avx
#elif defined(__SSE4_2__)
#define DISTILL_ABI_VECTORS sse42
#elif defined(__SSE4_1__)
#define DISTILL_ABI_VECTORS sse41
#elif defined(__SSSE3__)
#define DISTILL_ABI_VECTORS ssse3
#elif defined(__SSE3__)
#define DISTILL_ABI_VECTORS sse3
#elif defined(__ARM_FEATURE_SVE2)
#define DISTILL_ABI_VECTORS sve2
#elif defined(__ARM_FEATURE_SVE)
#define DISTILL_ABI_VECTORS sve
#elif defined(__riscv_vector)
#define DISTILL_ABI_VECTORS rvv
#else
#define DISTILL_ABI_VECTORS plain
#endif

// A letter for every extension that a compiler makes use of on its own.
#if defined(__FMA__)
#define DISTILL_ABI_FMA f
#else
#define DISTILL_ABI_FMA
#endif
#if defined(__F16C__)
#define DISTILL_ABI_F16C h
#else
#define DISTILL_ABI_F16C
#endif
#if defined(__BMI__) || defined(__ARM_FEATURE_QRDMX)
#define DISTILL_ABI_BMI b
#else
#define DISTILL_ABI_BMI
#endif
#if defined(__BMI2__) || defined(__ARM_FEATURE_COMPLEX)
#define DISTILL_ABI_BMI2 c
#else
#define DISTILL_ABI_BMI2
#endif
#if defined(__LZCNT__) || defined(__ARM_FEATURE_MATMUL_INT8)
#define DISTILL_ABI_LZCNT z
#else
#define DISTILL_ABI_LZCNT
#endif
#if defined(__POPCNT__) || defined(__ARM_FEATURE_RCPC)
#define DISTILL_ABI_POPCNT p
#else
#define DISTILL_ABI_POPCNT
#endif
#if defined(__MOVBE__) || defined(__ARM_FEATURE_MOPS)
#define DISTILL_ABI_MOVBE m
#else
#define DISTILL_ABI_MOVBE
#endif
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define DISTILL_ABI_VNNI n
#else
#define DISTILL_ABI_VNNI
#endif
#if defined(__AVX512VBMI__)
#define DISTILL_ABI_VBMI v
#else
#define DISTILL_ABI_VBMI
#endif
#if defined(__AVX512VBMI2__)
#define DISTILL_ABI_VBMI2 w
#else
#define DISTILL_ABI_VBMI2
#endif
#if defined(__AVX512IFMA__) || defined(__AVXIFMA__)
#define DISTILL_ABI_IFMA i
#else
#define DISTILL_ABI_IFMA
#endif
#if defined(__AVX512CD__)
#define DISTILL_ABI_CD l
#else
#define DISTILL_ABI_CD
#endif
#if defined(__GFNI__)
#define DISTILL_ABI_GFNI y
#else
#define DISTILL_ABI_GFNI
#endif
#if defined(__FMA4__) || defined(__XOP__) || defined(__TBM__)
#define DISTILL_ABI_BULLDOZER u
#else
#define DISTILL_ABI_BULLDOZER
#endif
#if defined(__AVX512BITALG__)
#define DISTILL_ABI_BITALG t
#else
#define DISTILL_ABI_BITALG
#endif
#if defined(__AVX512VPOPCNTDQ__)
#define DISTILL_ABI_VPOPCNT q
#else
#define DISTILL_ABI_VPOPCNT
#endif
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16)
#define DISTILL_ABI_BF16 r
#else
#define DISTILL_ABI_BF16
#endif
#if defined(__AVX512FP16__) || defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
#define DISTILL_ABI_FP16 g
#else
#define DISTILL_ABI_FP16
#endif
#if defined(__APX_F__)
#define DISTILL_ABI_APX e
#else
#define DISTILL_ABI_APX
#endif
#if defined(__ARM_FEATURE_DOTPROD)
#define DISTILL_ABI_DOTPROD d
#else
#define DISTILL_ABI_DOTPROD
#endif
#if defined(__ARM_FEATURE_ATOMICS)
#define DISTILL_ABI_ATOMICS a
#else
#define DISTILL_ABI_ATOMICS
#endif
#if defined(__ARM_FEATURE_SHA3)
#define DISTILL_ABI_SHA3 s
#else
#define DISTILL_ABI_SHA3
#endif

// What arithmetic means, what an error does, which loops there are.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#define DISTILL_ABI_MATH _fast
#else
#define DISTILL_ABI_MATH
#endif
#if !defined(__cpp_exceptions) && !defined(__EXCEPTIONS)
#define DISTILL_ABI_ERRORS _nothrow
#else
#define DISTILL_ABI_ERRORS
#endif
#if defined(DISTILL_BASELINE_ONLY)
#define DISTILL_ABI_LOOPS _only
#else
#define DISTILL_ABI_LOOPS
#endif

#define DISTILL_ABI_PASTE(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, aa, bb) \
    a##b##c##d##e##f##g##h##i##j##k##l##m##n##o##p##q##r##s##t##u##v##w##x##y##z##aa##bb
#define DISTILL_ABI_NAME(...) DISTILL_ABI_PASTE(__VA_ARGS__)
#define DISTILL_ABI_VERSION(major, minor, patch) v##major##_##minor##_##patch
#define DISTILL_ABI_OF_VERSION(...) DISTILL_ABI_VERSION(__VA_ARGS__)

#define DISTILL_PROGRAM_ABI DISTILL_ABI_OF_VERSION(DISTILL_VERSION_MAJOR, DISTILL_VERSION_MINOR, DISTILL_VERSION_PATCH)
#define DISTILL_ABI                                                                                                   \
    DISTILL_ABI_NAME(DISTILL_PROGRAM_ABI, _, DISTILL_ABI_VECTORS, DISTILL_ABI_FMA, DISTILL_ABI_F16C, DISTILL_ABI_BMI, \
                     DISTILL_ABI_BMI2, DISTILL_ABI_LZCNT, DISTILL_ABI_POPCNT, DISTILL_ABI_MOVBE, DISTILL_ABI_VNNI,    \
                     DISTILL_ABI_VBMI, DISTILL_ABI_VBMI2, DISTILL_ABI_IFMA, DISTILL_ABI_BITALG, DISTILL_ABI_VPOPCNT,  \
                     DISTILL_ABI_BF16, DISTILL_ABI_FP16, DISTILL_ABI_APX, DISTILL_ABI_DOTPROD, DISTILL_ABI_ATOMICS,   \
                     DISTILL_ABI_SHA3, DISTILL_ABI_CD, DISTILL_ABI_GFNI, DISTILL_ABI_BULLDOZER, DISTILL_ABI_MATH,     \
                     DISTILL_ABI_ERRORS, DISTILL_ABI_LOOPS)
