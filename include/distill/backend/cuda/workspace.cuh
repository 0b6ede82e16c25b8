/// The device memory of a call: who gives it, and what is where in it.
#pragma once

#include <distill/backend/cuda/row_team.cuh>
#include <distill/call/checked_call.hpp>
#include <distill/core/reduction.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// Memory on the device, at a multiple of 8, that a call uses until the work it enqueued is done; or, with
/// is_stream_ordered, the request that every call allocates its own.
struct workspace {
    void* data = nullptr;
    std::size_t bytes = 0;
    bool is_stream_ordered = false;
};

/// Without a workspace, pass `stream_ordered`: a call then allocates from the memory pool of the stream's device with
/// cudaMallocAsync before its first kernel, and frees with cudaFreeAsync after its last.
inline constexpr workspace stream_ordered{.is_stream_ordered = true};

namespace device {

/// Blocks share rows only where a call has at most this many: fewer than half of any device's multiprocessors.
inline constexpr std::ptrdiff_t max_shared_rows = 256;

/// What the first kernels find for the later ones, at the start of the workspace.
struct call_totals {
    row_totals rows;
    double denominator = 0.0;
    bool offsets_in_order = true;
};

/// The parts of a call's workspace: the totals, a record per row, the weight of every sequence, and an exchange for each row
/// that blocks may share.
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
