// usage: with_device COMMAND [ARGUMENT...]
//
// Becomes the command where there is a CUDA device that runs this build's kernels. Elsewhere it says why not and answers 77, which
// ctest reports as skipped.
#include <unistd.h>

#include <support/launch.cuh>

#include <cstdio>

namespace {

__global__ void write_one(int* to) { *to = 1; }

// The first call that fails on the way to a kernel's answer.
cudaError_t try_kernel() {
    int *answer = nullptr, found = 0;
    cudaError_t status = cudaMalloc(&answer, sizeof found);
    if (status == cudaSuccess) {
        DISTILL_LAUNCH(write_one, 1, 1, 0, nullptr, answer);
        status = cudaGetLastError();
    }
    if (status == cudaSuccess) status = cudaMemcpy(&found, answer, sizeof found, cudaMemcpyDeviceToHost);
    return status;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) {
        std::fprintf(stderr, "usage: %s COMMAND [ARGUMENT...]\n", arguments[0]);
        return 2;
    }
    if (const cudaError_t status = try_kernel(); status != cudaSuccess) {
        std::printf("skipped, nothing has run: no CUDA device here runs this build's kernels: %s\n",
                    cudaGetErrorString(status));
        return 77;
    }
    cudaDeviceProp device{};
    if (cudaGetDeviceProperties(&device, 0) == cudaSuccess)
        std::printf("on %s, compute capability %d.%d\n", device.name, device.major, device.minor);
    std::fflush(stdout);
    execv(arguments[1], arguments + 1);
    std::perror(arguments[1]);
    return 1;
}
