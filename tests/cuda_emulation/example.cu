// A kernel, its launch and its test: the same file for nvcc and for the emulation.
#include <support/launch.cuh>

#include <doctest/doctest.h>

template <class T>
__global__ void sum_of_block(const T* in, T* out) {
    DISTILL_DYNAMIC_SHARED(T, of_warps);
    T sum = in[threadIdx.x];
    for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffff, sum, bits);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) *out = of_warps[0] + of_warps[1];
}

static bool no_device() {
    int count = 0;
    return cudaGetDeviceCount(&count) != cudaSuccess || count == 0;
}

TEST_CASE("a block of two warps adds up its numbers" * doctest::skip(no_device())) {
    float in[64], out = 0, *memory = nullptr;
    for (int i = 0; i < 64; ++i) in[i] = static_cast<float>(i);
    REQUIRE(cudaMalloc(&memory, 65 * sizeof(float)) == cudaSuccess);
    REQUIRE(cudaMemcpy(memory, in, sizeof in, cudaMemcpyHostToDevice) == cudaSuccess);
    DISTILL_LAUNCH(sum_of_block<float>, 1, 64, 2 * sizeof(float), nullptr, memory, memory + 64);
    REQUIRE(cudaGetLastError() == cudaSuccess);
    REQUIRE(cudaMemcpy(&out, memory + 64, sizeof out, cudaMemcpyDeviceToHost) == cudaSuccess);
    CHECK(out == 64 * 63 / 2);
    CHECK(cudaFree(memory) == cudaSuccess);
}
