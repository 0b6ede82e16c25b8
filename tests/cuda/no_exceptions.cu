// Compiled with -fno-exceptions: what a call refuses, and a CUDA function that fails, go to the error handler, and the call returns.
#include <distill/backend/cuda.cuh>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

static_assert(DISTILL_HAS_EXCEPTIONS == 0, "this file is compiled with -fno-exceptions");

namespace {

std::string received;
int messages = 0;

void receive(const char* message) {
    received = message;
    ++messages;
}

constexpr std::size_t entries = 8, workspace_bytes = 4096;

struct on_device {
    float *logits = nullptr, *gradient = nullptr;
    unsigned char* memory = nullptr;
    distill::loss_result* result = nullptr;
    cudaStream_t stream = nullptr;

    on_device() {
        CHECK(cudaMalloc(&logits, entries * sizeof(float)) == cudaSuccess);
        CHECK(cudaMalloc(&gradient, entries * sizeof(float)) == cudaSuccess);
        CHECK(cudaMalloc(&memory, workspace_bytes) == cudaSuccess);
        CHECK(cudaMalloc(&result, sizeof *result) == cudaSuccess);
        CHECK(cudaMemset(logits, 0, entries * sizeof(float)) == cudaSuccess);
        CHECK(cudaStreamCreate(&stream) == cudaSuccess);
    }
    on_device(const on_device&) = delete;
    ~on_device() {
        static_cast<void>(cudaStreamDestroy(stream));
        for (void* const place : {static_cast<void*>(logits), static_cast<void*>(gradient), static_cast<void*>(memory),
                                  static_cast<void*>(result)})
            static_cast<void>(cudaFree(place));
    }
    void call(const distill::workspace& space) const {
        const distill::batch<float> in{.student = {logits, 2, 4}, .teacher = {logits, 2, 4}};
        distill::loss{distill::forward_kl{}, distill::cuda{stream, space}, distill::token_mean{}}(in, {gradient, 2, 4},
                                                                                                  result);
    }
};

}  // namespace

TEST_CASE("without exceptions the handler hears what a call refuses and which CUDA function fails, and good calls work") {
    const distill::error_handler before = distill::set_error_handler(&receive);
    const on_device d;

    d.call({d.memory, 8});
    CHECK(received.starts_with("distill: the workspace has 8 bytes, this call needs "));

    cudaGraph_t graph{};
    CHECK(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    CHECK(cudaStreamSynchronize(d.stream) != cudaSuccess);
    d.call({d.memory, workspace_bytes});
    CHECK(received.starts_with("distill: count_rows failed: cudaErrorStreamCaptureInvalidated, "));
    d.call(distill::stream_ordered);
    CHECK(received.starts_with("distill: cudaMallocAsync failed: cudaErrorStreamCaptureInvalidated, "));
    CHECK(messages == 3);
    CHECK(cudaStreamEndCapture(d.stream, &graph) != cudaSuccess);
    static_cast<void>(cudaGetLastError());

    d.call({d.memory, workspace_bytes});
    d.call(distill::stream_ordered);
    CHECK(cudaStreamSynchronize(d.stream) == cudaSuccess);
    distill::loss_result found{.value = 1.0};
    CHECK(cudaMemcpy(&found, d.result, sizeof found, cudaMemcpyDeviceToHost) == cudaSuccess);
    CHECK(found.value == 0.0);
    CHECK(found.active_rows == 2);
    CHECK(messages == 3);
    distill::set_error_handler(before);
}
