/// How many blocks and threads work on the rows of a call.
#pragma once

#include <distill/backend/cuda/row_team.cuh>
#include <distill/backend/cuda/workspace.cuh>

#include <cuda_runtime.h>

#include <cstddef>
#include <limits>

namespace distill::inline DISTILL_ABI::device {

/// Threads of a block whose warps each work on a sequence or a row of their own.
inline constexpr unsigned threads_of_warps = 256;

struct row_shape {
    dim3 grid, block;
    unsigned blocks_of_row;
};

/// The elements of a thread's load: 16 bytes of the student's logits; two elements where sums run in double and logits are
/// narrower.
template <class Call, class Real>
inline constexpr int lanes_of =
    16 / static_cast<int>(sizeof(Real) > sizeof(float) ? sizeof(Real) : sizeof(typename Call::student_type));

/// As many blocks, or the most that a grid can name; the launch refuses those.
constexpr unsigned blocks(std::ptrdiff_t wanted) {
    constexpr std::ptrdiff_t most = (std::numeric_limits<unsigned>::max)();
    return static_cast<unsigned>(wanted < most ? wanted : most);
}

/// Short rows have a warp each, and a block has as many warps as still leave every multiprocessor a block. Long rows have a
/// block each, of as few warps as give every thread two loads. Where there are fewer than half as many long rows as
/// multiprocessors, several blocks share a row and run at the same time. A row with a token set is not shared.
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
