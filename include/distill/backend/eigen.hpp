/// The CPU backend: the row program on SIMD lanes, on the caller's threads.
#pragma once

#include <distill/backend/executor/first_exception.hpp>
#include <distill/backend/executor/serial.hpp>
#include <distill/backend/scratch.hpp>
#include <distill/backend/simd/dispatch.hpp>
#include <distill/backend/simd/instruction_set.hpp>
#include <distill/backend/simd/team.hpp>
#include <distill/call/checked_call.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

/// Element types: float, double, and 16-bit types (core/storage_format.hpp); computed in double where one of the logits or
/// the gradient is double, else in float. The instruction set is chosen at run time, up to `widest` and never below the
/// consumer's own flags.
///
/// Memory: one row of scratch, of the type computed in, per thread that runs rows, for gradients of objectives whose
/// dlogp_sum takes a sweep of its own. thread_scratch allocates it at the thread's first call and reuses it; a provider of
/// the caller's own gives the caller's: `eigen{serial{}, [&](std::size_t bytes) { return arena.take(bytes); }}`. Nothing
/// else is allocated, but for the row of a call from within a call: a term, a gate or an executor may itself call a loss.
///
/// Exceptions: what a term or a gate throws in one of the executor's threads leaves the call, once the executor has
/// returned. Of several rows that throw it is the one that a serial loop would have met first. The outputs may be partly
/// written.
///
/// Determinism: run to run and for any executor and number of threads, the same input gives the same result bit for bit; so
/// does a row in whatever batch it stands. Across instruction sets the accuracy contract holds, not the bits.
template <class Executor = serial, scratch_provider Scratch = thread_scratch>
struct eigen {
    [[no_unique_address]] Executor executor{};
    [[no_unique_address]] Scratch scratch{};
    instruction_set widest = instruction_set::avx512;

    constexpr eigen() = default;
    constexpr explicit eigen(Executor e, instruction_set limit = instruction_set::avx512)
        : executor(std::move(e)), widest(limit) {}
    constexpr eigen(Executor e, Scratch s, instruction_set limit = instruction_set::avx512)
        : executor(std::move(e)), scratch(std::move(s)), widest(limit) {}
    constexpr explicit eigen(instruction_set limit)
        requires std::default_initializable<Executor>
        : widest(limit) {}

    template <class Call>
    call::row_sums run(const Call& call) const {
        const call::row_blocks blocks{call.in.student.rows};
        std::array<call::row_sums, static_cast<std::size_t>(call::max_blocks)> of_block;
        detail::first_exception exception;
        executor(blocks.count(), [&](std::ptrdiff_t b) {
            exception.guard(
                b, [&] { of_block[static_cast<std::size_t>(b)] = run_block(call, blocks.begin(b), blocks.end(b)); });
        });
        exception.rethrow();
        call::row_sums sums;
        for (std::ptrdiff_t b = 0; b < blocks.count(); ++b) sums = sums + of_block[static_cast<std::size_t>(b)];
        return sums;
    }

private:
    template <class Call>
    call::row_sums run_block(const Call& call, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        using real = typename block_loop<Call>::real;
        call::row_sums sums;
        if constexpr (Call::keeps_derivatives) {
            const scratch_row row(scratch, static_cast<std::size_t>(call.in.student.vocabulary) * sizeof(real));
            simd::dispatch(widest, block_loop<Call>{call, begin, end, static_cast<real*>(row.data()), sums});
        } else {
            simd::dispatch(widest, block_loop<Call>{call, begin, end, nullptr, sums});
        }
        return sums;
    }

    template <class Call>
    struct block_loop {
        using real = std::conditional_t<call::any_double<Call>, double, float>;
        const Call& call;
        std::ptrdiff_t begin, end;
        real* row_scratch;
        call::row_sums& sums;

        template <int Bytes>
        DISTILL_INLINE void operator()() const {
            const simd::team<real, Bytes / static_cast<int>(sizeof(real))> team{{}, row_scratch};
            sums = call.run(team, begin, end);
        }
    };
};

eigen() -> eigen<>;
eigen(instruction_set) -> eigen<>;

}  // namespace distill::inline DISTILL_ABI
