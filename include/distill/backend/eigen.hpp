/// The CPU backend: the row program on SIMD lanes, with Eigen's element types, on the caller's threads.
#pragma once

#include <distill/backend/executor/serial.hpp>
#include <distill/backend/simd/instruction_set.hpp>
#include <distill/backend/simd/scratch.hpp>
#include <distill/backend/simd/team.hpp>
#include <distill/kernel/row_loop.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace distill {

/// Element types: float, double, Eigen::half, Eigen::bfloat16; computed in double where one of the logits is double, else in
/// float. The instruction set is chosen at run time, up to `widest`.
///
/// Memory: one row of scratch, of the type computed in, per thread that runs rows, for gradients of objectives whose moment
/// is not known beforehand. It is allocated at the thread's first call and reused; nothing else is.
///
/// Determinism: run to run and for any executor and number of threads, the same input gives the same result bit for bit; so
/// does a row in whatever batch it stands. Across instruction sets the accuracy contract holds, not the bits.
template <class Executor = serial>
struct eigen {
    [[no_unique_address]] Executor executor{};
    instruction_set widest = instruction_set::avx512;

    constexpr eigen() = default;
    constexpr explicit eigen(Executor e, instruction_set limit = instruction_set::avx512)
        : executor(std::move(e)), widest(limit) {}
    constexpr explicit eigen(instruction_set limit) requires std::default_initializable<Executor> : widest(limit) {}

    template <class Job>
    kernel::row_sums run(const Job& job) const {
        const kernel::row_blocks blocks{job.in.student.rows};
        std::array<kernel::row_sums, static_cast<std::size_t>(kernel::most_blocks)> of_block;
        executor(blocks.count(), [&](std::ptrdiff_t b) {
            using loop = block_loop<Job>;
            typename loop::real* scratch = nullptr;
            if constexpr (Job::keeps_derivatives)
                scratch = simd::scratch_row<typename loop::real>(job.in.student.vocabulary);
            simd::dispatch(widest,
                           loop{job, blocks.begin(b), blocks.end(b), scratch, of_block[static_cast<std::size_t>(b)]});
        });
        kernel::row_sums sums;
        for (std::ptrdiff_t b = 0; b < blocks.count(); ++b) sums = sums + of_block[static_cast<std::size_t>(b)];
        return sums;
    }

private:
    template <class Job>
    struct block_loop {
        using real = std::conditional_t<std::is_same_v<typename Job::student_type, double> ||
                                            std::is_same_v<typename Job::teacher_type, double>,
                                        double, float>;
        const Job& job;
        std::ptrdiff_t begin, end;
        real* scratch;
        kernel::row_sums& sums;

        template <int Bytes>
        DISTILL_INLINE void operator()() const {
            const simd::team<real, Bytes / static_cast<int>(sizeof(real))> team{scratch};
            sums = kernel::run_rows(team, job, begin, end);
        }
    };
};

eigen()->eigen<serial>;
eigen(instruction_set)->eigen<serial>;

}  // namespace distill
