/// Compiler facts the other headers rely on. Needs g++ 12 or clang 14, or newer.
#pragma once

#include <distill/core/abi.hpp>

/// Inlined at every optimisation level. Hot loops are compiled once per instruction set (backend/simd/instruction_set.hpp);
/// what they call has to end up inside them, or it runs with the consumer's default instructions.
#if defined(__CUDACC__)
#define DISTILL_INLINE __host__ __device__ __attribute__((always_inline)) inline
#else
#define DISTILL_INLINE __attribute__((always_inline)) inline
#endif

/// The same for a lambda: `[&](auto at) DISTILL_INLINE_LAMBDA { ... }`.
#define DISTILL_INLINE_LAMBDA __attribute__((always_inline))

/// Everything that the function calls directly is inlined into it, also what a user wrote without a marker.
#define DISTILL_FLATTEN __attribute__((flatten))

/// Never inlined: a function that many others would otherwise hold a copy of. In a kernel it is: a call needs a stack.
#if defined(__CUDACC__)
#define DISTILL_OUTLINED DISTILL_INLINE
#elif defined(__clang__)
#define DISTILL_OUTLINED __attribute__((noinline)) inline
#else
#define DISTILL_OUTLINED __attribute__((noinline, noclone)) inline
#endif

/// A function around a call to what a user wrote without a marker, inlined into it and with it. g++ inlines a user's
/// function into one that is always inlined only where its heuristics want to, and one whose parameters it has rewritten not
/// at all: here it may do neither, and leaves the rest to the flattened loop.
#if defined(__clang__)
#define DISTILL_AROUND_USER_CODE __attribute__((always_inline, flatten)) inline
#elif defined(__CUDACC__)
#define DISTILL_AROUND_USER_CODE DISTILL_INLINE
#else
#define DISTILL_AROUND_USER_CODE __attribute__((flatten, noclone)) inline
#endif

/// 1 where errors are thrown, 0 where the error handler receives them (core/error.hpp).
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define DISTILL_HAS_EXCEPTIONS 1
#else
#define DISTILL_HAS_EXCEPTIONS 0
#endif

/// Defined where the consumer's flags let the compiler take every number for finite: -ffast-math, -ffinite-math-only.
#if defined(__FINITE_MATH_ONLY__)
#if __FINITE_MATH_ONLY__
#define DISTILL_FINITE_MATH
#endif
#endif
