/// The kernels of a call, in the order in which they run: weigh_sequences, count_rows, run_rows, write_result.
#pragma once

#include <distill/backend/cuda/grid.cuh>
#include <distill/backend/cuda/row_team.cuh>
#include <distill/backend/cuda/workspace.cuh>
#include <distill/call/checked_call.hpp>
#include <distill/call/readable_row.hpp>
#include <distill/call/row_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// Type& name in the block's shared memory; Type may be an array: float[32].
#ifndef DISTILL_STATIC_SHARED
#define DISTILL_STATIC_SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name
#endif

namespace distill::inline DISTILL_ABI::device {

inline constexpr unsigned places_in_block = row_team<double, 2>::places_in_block;

/// The sum of the block's numbers, the same in every thread.
DISTILL_INLINE double sum_over_block(double mine, double* in_block) {
    return row_team<double, 2>{in_block}.sum([&] {
        lanes<double, 2> x(0.0);
        x.lane[0].value = mine;
        return x;
    }());
}

/// One warp per sequence. Adds its active weights: each lane its own rows, then the lanes in a fixed order.
template <class Call>
__global__ void __launch_bounds__(threads_of_warps) weigh_sequences(const Call call, unsigned char* workspace) {
    const launched<Call> at{call, workspace};
    const auto& offsets = call.in.sequence_offsets;
    const auto weigher = call.weigher();
    const std::ptrdiff_t s = std::ptrdiff_t{blockIdx.x} * (threads_of_warps / warp_size) + threadIdx.x / warp_size;
    if (s >= layout_of(call).sequences) return;
    double weight = 0.0;
    const std::int64_t end = offsets[s + 1] < call.in.student.rows ? offsets[s + 1] : call.in.student.rows;
    for (std::int64_t row = (offsets[s] < 0 ? 0 : offsets[s]) + threadIdx.x % warp_size; row < end; row += warp_size)
        weight += weigher.own_weight(static_cast<std::ptrdiff_t>(row));
    for (int distance = warp_size / 2; distance > 0; distance /= 2) weight += from_lane_across(weight, distance);
    if (threadIdx.x % warp_size == 0) at.sequence_weights()[s] = weight;
}

/// One block. Totals over the rows that need no logit.
template <class Call>
__global__ void __launch_bounds__(max_threads) count_rows(const Call call, unsigned char* workspace) {
    DISTILL_STATIC_SHARED(in_block, double[places_in_block]);
    const launched<Call> at{call, workspace};
    const auto weigher = call.weigher();
    double weight = 0.0, active = 0.0, active_sequences = 0.0, disorder = 0.0;
    for (std::ptrdiff_t row = threadIdx.x; row < call.in.student.rows; row += blockDim.x) {
        weight += weigher.own_weight(row);
        active += weigher.own_weight(row) != 0.0 ? 1.0 : 0.0;
    }
    if constexpr (Call::needs_sequences) {
        const auto& offsets = call.in.sequence_offsets;
        const std::ptrdiff_t sequences = layout_of(call).sequences;
        for (std::ptrdiff_t s = threadIdx.x; s < sequences; s += blockDim.x) {
            active_sequences += at.sequence_weights()[s] != 0.0 ? 1.0 : 0.0;
            disorder += offsets[s] > offsets[s + 1] || (s == 0 && offsets[0] != 0) ||
                                (s + 1 == sequences && offsets[sequences] != call.in.student.rows)
                            ? 1.0
                            : 0.0;
        }
    }
    for (std::ptrdiff_t row = threadIdx.x; row < layout_of(call).exchanges(); row += blockDim.x)
        at.exchanges()[row].arrived = 0;
    weight = sum_over_block(weight, in_block);
    active = sum_over_block(active, in_block);
    active_sequences = sum_over_block(active_sequences, in_block);
    disorder = sum_over_block(disorder, in_block);
    if (threadIdx.x != 0) return;
    const row_totals rows{.weight = weight,
                          .active_rows = static_cast<std::ptrdiff_t>(active),
                          .active_sequences = static_cast<std::ptrdiff_t>(active_sequences)};
    at.totals() = {rows, rows.active_rows == 0 ? 0.0 : call.reduction.denominator(rows), disorder == 0.0};
}

/// The weight of a row before the denominator.
template <class Call>
DISTILL_INLINE double weight_of(const launched<Call>& at, std::ptrdiff_t row, double own) {
    if constexpr (Call::needs_sequences)
        return call::weight_in_sequence(at.call.reduction, own,
                                        at.sequence_weights()[call::sequence_of(at.call.in.sequence_offsets, row)]);
    else
        return own;
}

template <class Team, class Call>
DISTILL_INLINE bool allows_vectors(const Team& team, const Call& call, std::ptrdiff_t row) {
    bool allowed = team.allows_vectors(call.in.student.row(row)) &&
                   (call.in.teacher.absent() || team.allows_vectors(call.in.teacher.row(row)));
    if constexpr (Call::writes) allowed = allowed && team.allows_vectors(call.destination.view.row(row));
    return allowed;
}

/// Rows with a token set have a block each: their tokens fill its shared memory.
template <class Call>
inline constexpr unsigned max_rows_in_block = Call::traits::token_set_terms > 0 ? 1 : threads_of_warps / warp_size;

/// The loads that a thread has in flight in a sweep that evaluates terms. The intermediate numbers of all of them are in
/// registers at the same time: those of eight entries for one term, of four entries for a sum of terms. Without a term over
/// the vocabulary there are few.
template <int Lanes, class Call>
constexpr int loads_of_terms() {
    constexpr int of_four_lanes = Call::traits::vocabulary_terms == 0 ? 4 : Call::traits::vocabulary_terms == 1 ? 2 : 1;
    return Lanes > 4 && of_four_lanes > 1 ? of_four_lanes / 2 : of_four_lanes;
}

/// True where a kernel is limited to 128 registers a thread, so that two of the largest blocks fit on a multiprocessor:
/// float kernels of up to three terms whose threads load up to four elements at a time. Other kernels may use 255 registers:
/// those that sum in double, load more at a time, evaluate more terms, or fit terms to the row, which is a sweep with terms
/// of its own.
template <class Real, int Lanes, class Call>
inline constexpr bool shares_registers = sizeof(Real) == sizeof(float) && Lanes <= 4 &&
                                         Call::traits::vocabulary_terms <= 3 && !Call::traits::has_row_dependent_terms;

/// One row for every warp of the block's y dimension, or for every block, or for every `blocks_of_row` blocks.
template <class Real, int Lanes, class Call>
__global__ void __launch_bounds__(max_threads, shares_registers<Real, Lanes, Call> ? 2 : 1)
    run_rows(const Call call, unsigned char* workspace, unsigned blocks_of_row) {
    DISTILL_STATIC_SHARED(in_block, double[places_in_block]);
    DISTILL_STATIC_SHARED(in_common, row::single_entries<typename Call::traits>[max_rows_in_block<Call>]);
    const std::ptrdiff_t row = std::ptrdiff_t{blockIdx.x / blocks_of_row} * blockDim.y + threadIdx.y;
    if (row >= call.in.student.rows) return;  // a warp's row in a block of several
    const launched<Call> at{call, workspace};
    const call_totals totals = at.totals();
    row_team<Real, Lanes, loads_of_terms<Lanes, Call>()> team{in_block, in_common + threadIdx.y,
                                                              blocks_of_row == 1 ? nullptr : at.exchanges() + row,
                                                              blocks_of_row, blockIdx.x % blocks_of_row};
    team.loads_vectors = allows_vectors(team, call, row);
    call::row_sums sums;
    double loss = quiet_nan();
    if (totals.offsets_in_order && call::is_readable(team, call, row)) {
        const double own = call.weigher().own_weight(row);
        const double weight = weight_of(at, row, own);
        const row::row_outcome outcome = call::run_row(team, call, row, own, weight, totals.denominator);
        if (outcome.finite) loss = outcome.loss;
        sums = call::sums_of_row(outcome, weight, totals.denominator);
    } else {
        sums.nonfinite_rows = 1;
        call::fill_gradient(team, call, row, quiet_nan());
    }
    team.loads_vectors = false;
    call::fill_padding(team, call, row);
    if (!team.leads()) return;
    at.records()[row] = sums;
    call.row_losses.store(row, loss);
}

/// One block. Adds the rows' records: each thread its own rows, then the threads in a fixed order.
template <class Call>
__global__ void __launch_bounds__(max_threads) write_result(const Call call, unsigned char* workspace) {
    DISTILL_STATIC_SHARED(in_block, double[places_in_block]);
    const launched<Call> at{call, workspace};
    double loss = 0.0, nonfinite = 0.0, clipped = 0.0, guarded = 0.0;
    for (std::ptrdiff_t row = threadIdx.x; row < call.in.student.rows; row += blockDim.x) {
        const call::row_sums sums = at.records()[row];
        loss += sums.weighted_loss;
        nonfinite += static_cast<double>(sums.nonfinite_rows);
        clipped += static_cast<double>(sums.clipped_rows);
        guarded += static_cast<double>(sums.guarded_rows);
    }
    loss = sum_over_block(loss, in_block);
    const auto count = [&](double mine) { return static_cast<std::ptrdiff_t>(sum_over_block(mine, in_block)); };
    const call::row_sums sums{loss, count(nonfinite), count(clipped), count(guarded)};
    if (threadIdx.x == 0) *call.result = call::result_of(sums, at.totals().rows, at.totals().denominator);
}

}  // namespace distill::inline DISTILL_ABI::device
