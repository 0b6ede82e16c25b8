/// One loop, compiled for several instruction sets, chosen when it runs.
///
/// A header-only library is compiled with its consumer's flags. The loops carry their own target attributes instead, with
/// everything they call inlined into them, so a consumer who sets no flag gets the machine's full width. A consumer who
/// defines DISTILL_BASELINE_ONLY, for a whole program, gets what the flags allow and no more, in half the compile time and a
/// third of the code. What the flags already have is not compiled again.
#pragma once

#include <distill/backend/simd/instruction_set.hpp>
#include <distill/backend/simd/processor.hpp>

#include <distill/core/config.hpp>

namespace distill::inline DISTILL_ABI::simd {

// Flattened: g++ then inlines through every level, clang through the first (DISTILL_AROUND_USER_CODE). tests/codegen holds
// it.
template <int Bytes, class Loop>
DISTILL_FLATTEN DISTILL_OUTLINED void run_baseline(const Loop& loop) {
    loop.template operator()<Bytes>();
}

/// Calls loop.template operator()<Bytes>() in a function of its own, compiled for the instruction set whose registers have
/// `Bytes` bytes: a part of a loop that other loops have too is compiled once.
template <int Bytes, class Loop>
DISTILL_INLINE void run_outlined(const Loop& loop) {
    if constexpr (Bytes == baseline_bytes)
        run_baseline<Bytes>(loop);
    else
        run_wider<Bytes>(loop);
}

/// Calls loop.template operator()<bytes>() with `bytes` the register width of the widest instruction set that the machine
/// supports and `limit` allows. The loop's call operator is always inlined.
template <class Loop>
void dispatch(instruction_set limit, const Loop& loop) {
    if constexpr (has_wider_sets) {
        const instruction_set chosen = widest_supported() < limit ? widest_supported() : limit;
        if (chosen == instruction_set::avx512) return run_wider<64>(loop);
        if constexpr (baseline_bytes < 32)
            if (chosen == instruction_set::avx2) return run_wider<32>(loop);
    }
    static_cast<void>(limit);
    run_baseline<baseline_bytes>(loop);
}

}  // namespace distill::inline DISTILL_ABI::simd
