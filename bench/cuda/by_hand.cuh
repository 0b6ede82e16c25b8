// Forward KL as three plain kernels, a block per row: the log-softmax of the student and of the teacher, in memory, and the
// divergence of the two with its gradient.
#pragma once

#include "workload.cuh"

#include <cmath>

namespace bench {

inline constexpr unsigned threads_of_row = 512, threads_of_warp = 32;

struct maximum {
    __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct sum {
    __device__ float operator()(float a, float b) const { return a + b; }
};

// Of every thread's number, in every thread.
template <class Operation>
__device__ float over_block(float mine, Operation operation) {
    DISTILL_STATIC_SHARED(of_warps, float[threads_of_row / threads_of_warp]);
    for (unsigned distance = threads_of_warp / 2; distance > 0; distance /= 2)
        mine = operation(mine, __shfl_xor_sync(0xffffffff, mine, distance));
    __syncthreads();
    if (threadIdx.x % threads_of_warp == 0) of_warps[threadIdx.x / threads_of_warp] = mine;
    __syncthreads();
    float all = of_warps[0];
    for (unsigned w = 1; w < threads_of_row / threads_of_warp; ++w) all = operation(all, of_warps[w]);
    return all;
}

template <class Element>
__global__ void __launch_bounds__(threads_of_row)
    log_softmax(const Element* logits, float* log_probs, std::size_t vocabulary) {
    const Element* x = logits + blockIdx.x * vocabulary;
    float* y = log_probs + blockIdx.x * vocabulary;
    float largest = -INFINITY, total = 0.0f;
    for (std::size_t v = threadIdx.x; v < vocabulary; v += threads_of_row)
        largest = fmaxf(largest, static_cast<float>(x[v]));
    largest = over_block(largest, maximum{});
    for (std::size_t v = threadIdx.x; v < vocabulary; v += threads_of_row) total += expf(static_cast<float>(x[v]) - largest);
    const float normaliser = largest + logf(over_block(total, sum{}));
    for (std::size_t v = threadIdx.x; v < vocabulary; v += threads_of_row) y[v] = static_cast<float>(x[v]) - normaliser;
}

// Writes every row's KL(q || p), and p - q.
template <class Element>
__global__ void __launch_bounds__(threads_of_row) divergence(const float* log_probs, const float* teacher_log_probs,
                                                             Element* gradient, float* losses, std::size_t vocabulary) {
    const std::size_t row = blockIdx.x * vocabulary;
    float value = 0.0f;
    for (std::size_t v = threadIdx.x; v < vocabulary; v += threads_of_row) {
        const float log_p = log_probs[row + v], log_q = teacher_log_probs[row + v], q = expf(log_q);
        value += q * (log_q - log_p);
        gradient[row + v] = static_cast<Element>(expf(log_p) - q);
    }
    value = over_block(value, sum{});
    if (threadIdx.x == 0) losses[blockIdx.x] = value;
}

struct log_softmax_by_hand {
    template <class Element>
    void operator()(const Element* logits, float* log_probs, shape s) const {
        DISTILL_LAUNCH(log_softmax<Element>, static_cast<unsigned>(s.rows), threads_of_row, 0, nullptr, logits, log_probs,
                       s.vocabulary);
        check(cudaGetLastError());
    }
};

}  // namespace bench
