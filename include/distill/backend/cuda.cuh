/// The CUDA backend: the row program on a team of threads per row, enqueued on a stream.
#pragma once

#include <distill/backend/cuda/error.cuh>
#include <distill/backend/cuda/grid.cuh>
#include <distill/backend/cuda/kernels.cuh>
#include <distill/backend/cuda/workspace.cuh>
#include <distill/call/checked_call.hpp>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// A call enqueues its work on the stream and returns. It never waits, allocates only where `stream_ordered` says so, and
/// can be captured in a graph. Every pointer is a device pointer, that of the result too:
///
///     distill::loss f{objective, distill::cuda{stream, {memory, bytes}}, distill::token_mean{}};
///     f(batch, gradient, result);      // bytes >= f.workspace_bytes(batch)
///     distill::loss g{objective, distill::cuda{stream, distill::stream_ordered}, distill::token_mean{}};
///
/// Leave the workspace, the buffers and the result alone until the stream has done the work. Several threads may enqueue
/// calls, each with a workspace of its own.
///
/// Errors: shapes, strides, parameters and missing fields are refused before anything is enqueued. The contents of arrays
/// are checked on the device: token ids out of range or twice in a set, and weights and row temperatures outside their
/// domain, make their row NaN, counted in nonfinite_rows; offsets out of order do so for every row. A CUDA function that
/// fails is reported by name, and memory that the call allocated is freed; before run_rows is enqueued, only the workspace
/// is written.
///
/// Determinism: run to run, on one kind of device, the same input at the same addresses gives the same bits. A row's bits
/// depend on the row alone where shares_rows is false, and on whether its addresses are multiples of 16; else also on how
/// many blocks share it, and so on the number of rows. Sums run in float for float and 16-bit logits and in double where one
/// of the logits or the gradient is double.
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

    /// A reported failure is cleared: the next cudaGetLastError() does not return it.
    static void report(const attempt& a) {
        if (a.status == cudaSuccess) return;
        static_cast<void>(cudaGetLastError());
        report_cuda_error(a.call, a.status);
    }

    /// Enqueues kernel after kernel until one fails. Returns the last attempt.
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

    /// The status is that of this launch. An earlier failure of the thread stays where cudaGetLastError() finds it.
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
