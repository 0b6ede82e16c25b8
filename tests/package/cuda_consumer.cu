// One row, p = (1/2, 1/2) and q = (3/4, 1/4), on the device: KL(q || p) = 3/4 log(3/2) + 1/4 log(1/2).
#include <cmath>
#include <distill/backend/cuda.cuh>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

struct buffers {
    double student[2], teacher[2];
    distill::loss_result result;
    unsigned char workspace[4096];
};

int main() {
    buffers host{.student = {0.0, 0.0}, .teacher = {std::log(3.0), 0.0}}, *device = nullptr;
    if (cudaMalloc(&device, sizeof host) != cudaSuccess ||
        cudaMemcpy(device, &host, sizeof host, cudaMemcpyHostToDevice) != cudaSuccess)
        return 1;
    const distill::loss f{distill::forward_kl{}, distill::cuda{nullptr, {device->workspace, sizeof device->workspace}},
                          distill::token_mean{}};
    f(distill::batch<double>{.student = {device->student, 1, 2}, .teacher = {device->teacher, 1, 2}}, &device->result);
    if (cudaMemcpy(&host, device, sizeof host, cudaMemcpyDeviceToHost) != cudaSuccess) return 1;
    return std::abs(host.result.value - (0.75 * std::log(1.5) + 0.25 * std::log(0.5))) < 1e-12 ? 0 : 1;
}
