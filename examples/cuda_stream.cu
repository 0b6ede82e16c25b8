// A training step on a CUDA stream: a loss and its gradient enqueued, then captured in a graph and launched again.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <distill/backend/cuda.cuh>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/divergence/reverse_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>
#include <vector>

// Prints CUDA's message and ends the program where one of its calls fails.
void check(cudaError_t status) {
    if (status == cudaSuccess) return;
    std::printf("%s\n", cudaGetErrorString(status));
    std::exit(1);
}

template <class T>
T* on_device(const std::vector<T>& values) {
    T* memory = nullptr;
    check(cudaMalloc(&memory, values.size() * sizeof(T)));
    check(cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
    return memory;
}

int main() {
    const int rows = 2, vocabulary = 4;
    float* const student = on_device<float>({1, 2, 3, 4, 2, 0, 1, 0});
    float* const teacher = on_device<float>({1, 3, 3, 2, 0, 0, 1, 3});
    float* const gradient = on_device(std::vector<float>(rows * vocabulary));
    auto* const result = on_device(std::vector<distill::loss_result>(1));
    const distill::batch<float> in{.student = {student, rows, vocabulary}, .teacher = {teacher, rows, vocabulary}};

    const auto objective = 0.7 * distill::reverse_kl{} + 0.3 * distill::jensen_shannon{0.5};
    const distill::loss sizing{objective, distill::cuda{}, distill::token_mean{}};
    const std::size_t bytes = sizing.workspace_bytes(in);
    auto* const memory = on_device(std::vector<unsigned char>(bytes));

    cudaStream_t stream;
    check(cudaStreamCreate(&stream));
    const distill::loss f{objective, distill::cuda{stream, {memory, bytes}}, distill::token_mean{}};

    cudaGraph_t graph;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    f(in, {gradient, rows, vocabulary}, result);
    check(cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t step;
    check(cudaGraphInstantiate(&step, graph, 0));
    check(cudaGraphLaunch(step, stream));
    check(cudaStreamSynchronize(stream));

    distill::loss_result found;
    std::vector<float> dz(rows * vocabulary);
    check(cudaMemcpy(&found, result, sizeof found, cudaMemcpyDeviceToHost));
    check(cudaMemcpy(dz.data(), gradient, dz.size() * sizeof(float), cudaMemcpyDeviceToHost));
    std::printf("loss %.6f over %td rows\n", found.value, found.active_rows);
    for (const float g : dz) std::printf("% .6f\n", g);
    // The process ends here: its memory, stream and graph with it.
}
