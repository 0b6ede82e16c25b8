/// The CUDA backend: the row program on a team of threads per row, enqueued on a stream.
#pragma once

#include <distill/backend/cuda/error.cuh>
#include <distill/backend/cuda/grid.cuh>
#include <distill/backend/cuda/kernels.cuh>
#include <distill/backend/cuda/workspace.cuh>
#include <distill/call/checked_call.hpp>

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

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
        using real = std::conditional_t<call::any_double<Call>, double, float>;
        constexpr int lanes = device::lanes_of<Call, real>;
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
                return launch(device::weigh_sequences<Call>, device::blocks((sequences + warps - 1) / warps),
                              device::threads_of_warps, false, call, space);
            });
        then("count_rows", [&] { return launch(device::count_rows<Call>, 1, device::max_threads, false, call, space); });
        if (rows > 0)
            then("run_rows", [&] {
                const device::row_shape shape = device::shape_of<device::max_rows_in_block<Call>>(
                    rows, call.in.student.vocabulary, lanes, multiprocessors, shares_rows && cooperative != 0);
                return launch(device::run_rows<real, lanes, Call>, shape.grid, shape.block, shape.blocks_of_row > 1, call,
                              space, shape.blocks_of_row);
            });
        then("write_result", [&] { return launch(device::write_result<Call>, 1, device::max_threads, false, call, space); });
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
};

}  // namespace distill::inline DISTILL_ABI
