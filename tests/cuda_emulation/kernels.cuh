/// Correct kernels of the three shapes that a reduction takes, for the emulation's own tests: a block per row, a warp's scan,
/// and several blocks per row that leave the last word to a second launch or to the last block.
#pragma once

#include <support/launch.cuh>

namespace reduction {

struct statistics {
    float maximum, sum;
};

__host__ __device__ inline statistics merged(statistics a, statistics b) {
    return {fmaxf(a.maximum, b.maximum), a.sum + b.sum};
}

/// The block's statistics, in every thread. A block is whole warps.
__device__ inline statistics over_block(statistics mine) {
    DISTILL_STATIC_SHARED(of_warps, statistics[32]);
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int bits = 16; bits > 0; bits /= 2)
        mine = merged(mine, {__shfl_xor_sync(0xffffffff, mine.maximum, bits), __shfl_xor_sync(0xffffffff, mine.sum, bits)});
    if (lane == 0) of_warps[warp] = mine;
    __syncthreads();
    statistics all = of_warps[0];
    for (unsigned w = 1; w < warps; ++w) all = merged(all, of_warps[w]);
    __syncthreads();  // before the next call writes
    return all;
}

/// One block per row: the row's maximum and the sum of the row.
__global__ void of_rows(const float* rows, long long columns, statistics* answers) {
    const float* const row = rows + blockIdx.x * columns;
    statistics mine{-INFINITY, 0};
    for (long long i = threadIdx.x; i < columns; i += blockDim.x) mine = merged(mine, {row[i], row[i]});
    const statistics all = over_block(mine);
    if (threadIdx.x == 0) answers[blockIdx.x] = all;
}

/// log(sum exp(x - maximum)) of one row, the second sweep over what the first found.
__global__ void log_sum_exp(const float* row, long long columns, float* answer) {
    statistics mine{-INFINITY, 0};
    for (long long i = threadIdx.x; i < columns; i += blockDim.x) mine = merged(mine, {row[i], 0});
    const float maximum = over_block(mine).maximum;
    float sum = 0;
    for (long long i = threadIdx.x; i < columns; i += blockDim.x) sum += expf(row[i] - maximum);
    sum = over_block({0, sum}).sum;
    if (threadIdx.x == 0) *answer = maximum + logf(sum);
}

/// Running sums of 32 numbers each.
__global__ void scan(const float* in, float* out) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
    float sum = in[i];
    for (unsigned delta = 1; delta < 32; delta *= 2) {
        const float other = __shfl_up_sync(0xffffffff, sum, delta);
        if (lane >= delta) sum += other;
    }
    out[i] = sum;
}

/// First phase: every block its part of the row, in dynamic shared memory of a number per thread.
__global__ void part_sums(const float* row, long long columns, float* parts) {
    DISTILL_DYNAMIC_SHARED(float, sums);
    float mine = 0;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < columns; i += gridDim.x * blockDim.x) mine += row[i];
    sums[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = sums[0];
}

/// Second phase, one warp.
__global__ void sum_of_parts(const float* parts, unsigned count, float* answer) {
    float sum = 0;
    for (unsigned i = threadIdx.x; i < count; i += 32) sum += parts[i];
    for (unsigned delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffff, sum, delta);
    if (threadIdx.x == 0) *answer = sum;
}

/// Both phases in one launch: the block that finishes last adds the parts up. `finished` is 0, before and after.
__global__ void sum_by_last_block(const float* row, long long columns, float* parts, unsigned* finished, float* answer) {
    DISTILL_STATIC_SHARED(is_last, bool);
    statistics mine{0, 0};
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < columns; i += gridDim.x * blockDim.x) mine.sum += row[i];
    const float part = over_block(mine).sum;
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = part;
        __threadfence();
        is_last = atomicAdd(finished, 1u) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (!is_last) return;
    float sum = 0;
    for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) sum += parts[i];
    sum = over_block({0, sum}).sum;
    if (threadIdx.x == 0) *answer = sum, *finished = 0;
}

/// Both phases in one cooperative launch: every block waits for the others, and adds the parts up. `arrived` is 0, before and after.
__global__ void sum_together(const float* row, long long columns, float* parts, unsigned* arrived, float* answers) {
    statistics mine{0, 0};
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < columns; i += gridDim.x * blockDim.x) mine.sum += row[i];
    const float part = over_block(mine).sum;
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = part;
        __threadfence();
        atomicAdd(arrived, 1u);
        while (__ldcv(arrived) < gridDim.x) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
    float sum = 0;
    for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) sum += parts[i];
    sum = over_block({0, sum}).sum;
    if (threadIdx.x == 0) answers[blockIdx.x] = sum;
}

}  // namespace reduction
