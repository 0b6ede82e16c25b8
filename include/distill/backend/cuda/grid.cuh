/// How many blocks and threads work on the rows of a call.
#pragma once

#include <distill/backend/cuda/row_team.cuh>
#include <distill/backend/cuda/workspace.cuh>

#include <cuda_runtime.h>

#include <cstddef>
#include <limits>

namespace distill::inline DISTILL_ABI::device {

/// The block whose warps work on a sequence, or on a row, each.
inline constexpr unsigned threads_of_warps = 256;

struct row_shape {
    dim3 grid, block;
    unsigned blocks_of_row;
};

/// A thread's load is 16 bytes of the student's logits, of narrower ones than double two elements where sums run in double.
template <class Call, class Real>
inline constexpr int lanes_of = 16 / static_cast<int>(sizeof(Real) > sizeof(float) ? sizeof(Real)
                                                                                   : sizeof(typename Call::student_type));

/// More than a grid has are refused by the launch.
constexpr unsigned blocks(std::ptrdiff_t wanted) {
    constexpr std::ptrdiff_t most = (std::numeric_limits<unsigned>::max)();
    return static_cast<unsigned>(wanted < most ? wanted : most);
}

/// Short rows: a warp each, and as many of them in a block as leaves no multiprocessor without one. Long rows: a block each,
/// of whole warps, as few as give every thread two loads. Fewer than half as many long rows as multiprocessors: several
/// blocks each, all of which run at the same time. A row that has a block's shared memory to itself is not shared.
template <unsigned MaxRowsInBlock>
constexpr row_shape shape_of(std::ptrdiff_t rows, std::ptrdiff_t vocabulary, int lanes, int multiprocessors,
                             bool may_share) {
    const std::ptrdiff_t entries_of_warp = std::ptrdiff_t{lanes} * warp_size;
    if (vocabulary <= 8 * entries_of_warp) {
        constexpr std::ptrdiff_t most = MaxRowsInBlock;
        const std::ptrdiff_t wanted = (rows + multiprocessors - 1) / multiprocessors, warps = wanted < most ? wanted : most;
        return {dim3(blocks((rows + warps - 1) / warps)), dim3(warp_size, static_cast<unsigned>(warps)), 1};
    }
    constexpr std::ptrdiff_t max_warps = max_threads / warp_size;
    const std::ptrdiff_t wanted = (vocabulary + 2 * entries_of_warp - 1) / (2 * entries_of_warp);
    const dim3 block(static_cast<unsigned>(warp_size * (wanted < max_warps ? wanted : max_warps)));
    std::ptrdiff_t shares = 1;
    if (MaxRowsInBlock > 1 && may_share && rows <= max_shared_rows) {
        const std::ptrdiff_t idle = multiprocessors / rows, useful = vocabulary / (4 * entries_of_warp * max_warps);
        shares = idle < useful ? idle : useful;
        shares = shares < 1 ? 1 : shares > max_blocks_of_row ? max_blocks_of_row : shares;
    }
    return {dim3(blocks(rows * shares)), block, static_cast<unsigned>(shares)};
}

}  // namespace distill::inline DISTILL_ABI::device
