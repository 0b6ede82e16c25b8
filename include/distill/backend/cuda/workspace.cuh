/// The device memory of a call: who gives it, and what is where in it.
#pragma once

#include <distill/backend/cuda/row_team.cuh>
#include <distill/call/checked_call.hpp>
#include <distill/core/reduction.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// Memory on the device that a call may use until the work it enqueued is done, at an address that is a multiple of 8; or the
/// request for memory of every call's own.
struct workspace {
    void* data = nullptr;
    std::size_t bytes = 0;
    bool is_stream_ordered = false;
};

/// In the place of a workspace: a call takes its own from the memory pool of the stream's device and gives it back, both in the
/// stream's order (cudaMallocAsync before its first kernel, cudaFreeAsync after its last).
inline constexpr workspace stream_ordered{.is_stream_ordered = true};

namespace device {

/// Rows are shared by blocks where there are few of them: fewer than half of any device's multiprocessors.
inline constexpr std::ptrdiff_t max_shared_rows = 256;

/// What the first kernels leave for the ones after them, at the start of the workspace.
struct call_totals {
    row_totals rows;
    double denominator = 0.0;
    bool offsets_in_order = true;
};

/// Where the parts of a call's workspace stand: the totals, a record per row, the weight of every sequence, and an exchange per
/// row that blocks may share.
struct workspace_layout {
    std::ptrdiff_t rows, sequences;

    [[nodiscard]] constexpr std::size_t records_begin() const { return 64; }
    [[nodiscard]] constexpr std::size_t weights_begin() const {
        return records_begin() + static_cast<std::size_t>(rows) * sizeof(call::row_sums);
    }
    [[nodiscard]] constexpr std::size_t exchanges_begin() const {
        return weights_begin() + static_cast<std::size_t>(sequences) * sizeof(double);
    }
    [[nodiscard]] constexpr std::ptrdiff_t exchanges() const { return rows <= max_shared_rows ? rows : 0; }
    [[nodiscard]] constexpr std::size_t bytes() const {
        return exchanges_begin() + static_cast<std::size_t>(exchanges()) * sizeof(row_exchange);
    }
};
static_assert(sizeof(call_totals) <= 64);

template <class Call>
constexpr workspace_layout layout_of(const Call& call) {
    const std::ptrdiff_t offsets = call.in.sequence_offsets.size();
    return {call.in.student.rows, Call::needs_sequences && offsets > 0 ? offsets - 1 : 0};
}

/// A call with its workspace, as kernels receive it.
template <class Call>
struct launched {
    const Call& call;
    unsigned char* workspace;

    [[nodiscard]] DISTILL_INLINE constexpr call_totals& totals() const { return *reinterpret_cast<call_totals*>(workspace); }
    [[nodiscard]] DISTILL_INLINE call::row_sums* records() const {
        return reinterpret_cast<call::row_sums*>(workspace + layout_of(call).records_begin());
    }
    [[nodiscard]] DISTILL_INLINE double* sequence_weights() const {
        return reinterpret_cast<double*>(workspace + layout_of(call).weights_begin());
    }
    [[nodiscard]] DISTILL_INLINE row_exchange* exchanges() const {
        return reinterpret_cast<row_exchange*>(workspace + layout_of(call).exchanges_begin());
    }
};

}  // namespace device
}  // namespace distill::inline DISTILL_ABI
