/// The CUDA backend: the row program on a team of threads per row, enqueued on a stream.
#pragma once

#include <distill/backend/cuda/launch.cuh>
#include <distill/backend/cuda/row_team.cuh>
#include <distill/call/device_call.hpp>
#include <distill/core/error.hpp>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

template <>
struct largest_value<__half> {
    static constexpr float get() { return 65504.0f; }
};
template <>
struct largest_value<__nv_bfloat16> {
    static constexpr float get() { return 0x1.fep127f; }
};

namespace device {

/// The block whose warps work on a sequence, or on a row, each.
inline constexpr unsigned threads_of_warps = 256;

/// Rows are shared by blocks where there are few of them: fewer than half of any device's multiprocessors.
inline constexpr std::ptrdiff_t most_shared_rows = 256;

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
    [[nodiscard]] constexpr std::ptrdiff_t exchanges() const { return rows <= most_shared_rows ? rows : 0; }
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

inline constexpr unsigned places_in_block = row_team<double, 2>::places_in_block;

/// The sum of the block's numbers, the same in every thread.
DISTILL_INLINE double sum_over_block(double mine, double* in_block) {
    return row_team<double, 2>{in_block}.sum([&] {
        lanes<double, 2> x(0.0);
        x.lane[0].value = mine;
        return x;
    }());
}

/// One warp per sequence: the sum of its active weights, a lane's rows first, then the lanes.
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

/// One block: what is known of the rows before any logit is read.
template <class Call>
__global__ void __launch_bounds__(most_threads) count_rows(const Call call, unsigned char* workspace) {
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

/// The factor of a row's sequence.
template <class Call>
DISTILL_INLINE double sequence_factor(const launched<Call>& at, std::ptrdiff_t row) {
    if constexpr (Call::needs_sequences) {
        const double weight = at.sequence_weights()[call::sequence_of(at.call.in.sequence_offsets, row)];
        return weight != 0.0 ? at.call.reduction.sequence_factor(weight) : 0.0;
    } else {
        return 1.0;
    }
}

template <class Team, class Job>
DISTILL_INLINE bool allows_vectors(const Team& team, const Job& job, std::ptrdiff_t row) {
    bool allowed = team.allows_vectors(job.in.student.row(row)) &&
                   (job.in.teacher.absent() || team.allows_vectors(job.in.teacher.row(row)));
    if constexpr (!std::is_same_v<decltype(job.destination), row::no_gradient>)
        allowed = allowed && team.allows_vectors(job.destination.view.row(row));
    return allowed;
}

/// Rows whose tokens would fill a block's shared memory have a block each.
template <class Call>
inline constexpr unsigned most_rows_in_block = Call::has_token_sets ? 1 : threads_of_warps / warp_size;

/// How many loads of a thread are under way in a sweep that evaluates terms. The numbers in between stand in registers at the same
/// time: those of eight entries of one term, of four of a sum. Without a term over the vocabulary there are few.
template <int Lanes, class Call>
constexpr int loads_of_terms() {
    constexpr int of_four_lanes = Call::vocabulary_terms == 0 ? 4 : Call::vocabulary_terms == 1 ? 2 : 1;
    return Lanes > 4 && of_four_lanes > 1 ? of_four_lanes / 2 : of_four_lanes;
}

/// Two of the largest blocks share the registers of a multiprocessor, 128 for a thread, where a thread evaluates up to eight
/// entries of a term, or four of three, in float. Other kernels may take 255, and two of their blocks run at a time where they take
/// no more than 128: those that sum in double, load more than four elements at a time, evaluate more terms, or fit terms to the
/// row, which is a sweep with terms of its own.
template <class Real, int Lanes, class Call>
inline constexpr bool shares_registers = sizeof(Real) == sizeof(float) && Lanes <= 4 && Call::vocabulary_terms <= 3 &&
                                         !Call::fits_terms_to_row;

/// A row for every warp of the block's y dimension, for every block, or for `blocks_of_row` of them.
template <class Real, int Lanes, class Call>
__global__ void __launch_bounds__(most_threads, shares_registers<Real, Lanes, Call> ? 2 : 1)
    run_rows(const Call call, unsigned char* workspace, unsigned blocks_of_row) {
    DISTILL_STATIC_SHARED(in_block, double[places_in_block]);
    DISTILL_STATIC_SHARED(in_common, typename Call::common_type[most_rows_in_block<Call>]);
    const std::ptrdiff_t row = std::ptrdiff_t{blockIdx.x / blocks_of_row} * blockDim.y + threadIdx.y;
    if (row >= call.in.student.rows) return;  // a warp's row in a block of several
    const launched<Call> at{call, workspace};
    const call_totals totals = at.totals();
    const auto job = call.with_denominator(totals.denominator);
    row_team<Real, Lanes, loads_of_terms<Lanes, Call>()> team{in_block, in_common + threadIdx.y,
                                                              blocks_of_row == 1 ? nullptr : at.exchanges() + row,
                                                              blocks_of_row, blockIdx.x % blocks_of_row};
    team.loads_vectors = allows_vectors(team, job, row);
    call::row_sums sums;
    double loss = quiet_nan();
    if (totals.offsets_in_order && call::is_readable(team, call, row)) {
        const double own = job.weigher.own_weight(row);
        const double weight = own == 0.0 ? 0.0 : own * sequence_factor(at, row);
        const row::row_outcome outcome = call::run_row(team, job, row, weight);
        if (outcome.finite) loss = outcome.loss;
        sums = call::sums_of_row(outcome, weight);
    } else {
        sums.nonfinite_rows = 1;
        call::fill_gradient(team, job, row, quiet_nan());
    }
    team.loads_vectors = false;
    call::fill_padding(team, job, row);
    if (!team.leads()) return;
    at.records()[row] = sums;
    job.store_row_loss(row, loss);
}

/// One block: the rows' records, a thread's rows first, then the threads in the order of the block's sum.
template <class Call>
__global__ void __launch_bounds__(most_threads) write_result(const Call call, unsigned char* workspace) {
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

}  // namespace device

/// A CUDA function or a kernel's launch that failed: `distill: run_rows failed: cudaErrorInvalidConfiguration, invalid
/// configuration argument`. Without exceptions the message goes to the error handler.
class cuda_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

[[gnu::cold, gnu::noinline]] inline void report_cuda_error(const char* call, cudaError_t status) {
    detail::leave_with<cuda_error>({call, " failed: ", cudaGetErrorName(status), ", ", cudaGetErrorString(status)});
}

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

/// A call enqueues its work on the stream and returns: it waits for nothing, allocates nothing unless it is asked to, and can be
/// captured in a graph. Every pointer it is given is the device's, the result's too:
///
///     distill::loss f{objective, distill::cuda{stream, {memory, bytes}}, distill::token_mean{}};
///     f(batch, gradient, result);      // bytes >= f.workspace_bytes(batch)
///     distill::loss g{objective, distill::cuda{stream, distill::stream_ordered}, distill::token_mean{}};
///
/// The workspace, the buffers and the result belong to the call until the stream has done its work. One thread or several may
/// enqueue calls, each with a workspace of its own.
///
/// Errors: what the host can see is refused before anything is enqueued. What only the device sees makes its row NaN and is
/// counted in nonfinite_rows: token ids out of range or twice in a set, weights and row temperatures outside their domain; offsets out of order
/// do so for every row. A CUDA function that fails is named, and memory that the call took is given back; until run_rows is
/// enqueued, the workspace alone is written to.
///
/// Determinism: run to run, on one kind of device, the same input at the same addresses gives the same bits. A row's bits depend
/// on the row alone where shares_rows is false, and on whether its addresses are multiples of 16; else also on how many blocks
/// share it, and so on the number of rows. Sums run in float for float and 16-bit logits and in double where one of the logits
/// or the gradient is double.
struct cuda {
    static constexpr bool runs_on_device = true;

    cudaStream_t stream = nullptr;
    distill::workspace memory{};
    bool shares_rows = true;  ///< several blocks work on each of few long rows, in a cooperative launch

    template <class Call>
    [[nodiscard]] static std::size_t workspace_bytes(const Call& call) {
        return device::layout_of(call).bytes();
    }

    template <class Call>
    void enqueue(const Call& call) const {
        if (!memory.is_stream_ordered) return report(enqueue_kernels(call, memory.data));
        void* taken = nullptr;
        if (const cudaError_t status = cudaMallocAsync(&taken, workspace_bytes(call), stream); status != cudaSuccess)
            return report({"cudaMallocAsync", status});
        const attempt kernels = enqueue_kernels(call, taken), release{"cudaFreeAsync", cudaFreeAsync(taken, stream)};
        report(kernels.status != cudaSuccess ? kernels : release);
    }

private:
    /// A CUDA function, or a kernel's launch, and how it ended.
    struct attempt {
        const char* call;
        cudaError_t status;
    };

    /// A failure that is told is none that the thread's next cudaGetLastError() finds.
    static void report(const attempt& a) {
        if (a.status == cudaSuccess) return;
        static_cast<void>(cudaGetLastError());
        report_cuda_error(a.call, a.status);
    }

    /// The last attempt, which is the first to fail.
    template <class Call>
    attempt enqueue_kernels(const Call& call, void* memory_of_call) const {
        using real = std::conditional_t<call::any_double<typename Call::job_type>, double, float>;
        constexpr int lanes = lanes_of<Call, real>;
        constexpr std::ptrdiff_t warps = device::threads_of_warps / device::warp_size;
        auto* const space = static_cast<unsigned char*>(memory_of_call);
        const std::ptrdiff_t rows = call.in.student.rows, sequences = device::layout_of(call).sequences;

        int number = 0, multiprocessors = 0, cooperative = 0;
        attempt last{"cudaGetDevice", cudaGetDevice(&number)};
        const auto then = [&last](const char* name, const auto& function) {
            if (last.status == cudaSuccess) last = {name, function()};
        };
        const auto ask = [&](int& answer, cudaDeviceAttr attribute) {
            then("cudaDeviceGetAttribute", [&] { return cudaDeviceGetAttribute(&answer, attribute, number); });
        };
        ask(multiprocessors, cudaDevAttrMultiProcessorCount);
        ask(cooperative, cudaDevAttrCooperativeLaunch);
        if (sequences > 0)
            then("weigh_sequences", [&] {
                return launch(device::weigh_sequences<Call>, blocks((sequences + warps - 1) / warps),
                              device::threads_of_warps, false, call, space);
            });
        then("count_rows", [&] { return launch(device::count_rows<Call>, 1, device::most_threads, false, call, space); });
        if (rows > 0)
            then("run_rows", [&] {
                const row_shape shape = shape_of<device::most_rows_in_block<Call>>(
                    rows, call.in.student.vocabulary, lanes, multiprocessors, shares_rows && cooperative != 0);
                return launch(device::run_rows<real, lanes, Call>, shape.grid, shape.block, shape.blocks_of_row > 1, call,
                              space, shape.blocks_of_row);
            });
        then("write_result",
             [&] { return launch(device::write_result<Call>, 1, device::most_threads, false, call, space); });
        return last;
    }

    /// The status is the launch's own: what failed in this thread before stays for whoever asks.
    template <class... Parameters, class... Arguments>
    cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, bool is_cooperative,
                       const Arguments&... arguments) const {
        cudaLaunchAttribute together{};
        together.id = cudaLaunchAttributeCooperative;
        together.val.cooperative = 1;
        cudaLaunchConfig_t config{};
        config.gridDim = grid;
        config.blockDim = block;
        config.stream = stream;
        config.attrs = &together;
        config.numAttrs = is_cooperative ? 1 : 0;
        return cudaLaunchKernelEx(&config, kernel, arguments...);
    }

    struct row_shape {
        dim3 grid, block;
        unsigned blocks_of_row;
    };

    /// A thread's load is 16 bytes of the student's logits, of narrower ones than double two elements where sums run in double.
    template <class Call, class Real>
    static constexpr int lanes_of = 16 / static_cast<int>(sizeof(Real) > sizeof(float)
                                                              ? sizeof(Real)
                                                              : sizeof(typename Call::job_type::student_type));

    /// More than a grid has are refused by the launch.
    static constexpr unsigned blocks(std::ptrdiff_t wanted) {
        constexpr std::ptrdiff_t most = std::numeric_limits<unsigned>::max();
        return static_cast<unsigned>(wanted < most ? wanted : most);
    }

    /// Short rows: a warp each, and as many of them in a block as leaves no multiprocessor without one. Long rows: a block each,
    /// of whole warps, as few as give every thread two loads. Fewer than half as many long rows as multiprocessors: several
    /// blocks each, all of which run at the same time. A row that has a block's shared memory to itself is not shared.
    template <unsigned MostRowsInBlock>
    static constexpr row_shape shape_of(std::ptrdiff_t rows, std::ptrdiff_t vocabulary, int lanes, int multiprocessors,
                                        bool may_share) {
        const std::ptrdiff_t entries_of_warp = std::ptrdiff_t{lanes} * device::warp_size;
        if (vocabulary <= 8 * entries_of_warp) {
            constexpr std::ptrdiff_t most = MostRowsInBlock;
            const std::ptrdiff_t wanted = (rows + multiprocessors - 1) / multiprocessors,
                                 warps = wanted < most ? wanted : most;
            return {dim3(blocks((rows + warps - 1) / warps)), dim3(device::warp_size, static_cast<unsigned>(warps)), 1};
        }
        constexpr std::ptrdiff_t most_warps = device::most_threads / device::warp_size;
        const std::ptrdiff_t wanted = (vocabulary + 2 * entries_of_warp - 1) / (2 * entries_of_warp);
        const dim3 block(static_cast<unsigned>(device::warp_size * (wanted < most_warps ? wanted : most_warps)));
        std::ptrdiff_t shares = 1;
        if (MostRowsInBlock > 1 && may_share && rows <= device::most_shared_rows) {
            const std::ptrdiff_t idle = multiprocessors / rows, useful = vocabulary / (4 * entries_of_warp * most_warps);
            shares = idle < useful ? idle : useful;
            shares = shares < 1 ? 1 : shares > device::most_blocks_of_row ? device::most_blocks_of_row : shares;
        }
        return {dim3(blocks(rows * shares)), block, static_cast<unsigned>(shares)};
    }
};

}  // namespace distill::inline DISTILL_ABI
