// One bug by name. check_bugs.py holds that every line with a comment `// NAME (WHERE): TEXT` is reported with that text, in
// every build or in one with a sanitizer alone: WHERE is always, address, thread or alignment.
#include <support/launch.cuh>

#include <cstdio>
#include <cstring>

namespace {

__global__ void missing_barrier(float* out) {
    DISTILL_STATIC_SHARED(shared, float);
    if (threadIdx.x == 0) shared = 1;  // missing_barrier (thread): data race
    out[threadIdx.x] = shared;         // missing_barrier (thread): data race
}

__global__ void missing_second_barrier(float* out) {
    DISTILL_STATIC_SHARED(shared, float);
    for (int round = 0; round < 2; ++round) {
        if (threadIdx.x == 0) shared = 1;  // missing_second_barrier (thread): data race
        __syncthreads();
        out[threadIdx.x] = shared;  // missing_second_barrier (thread): data race
    }
}

__global__ void missing_warp_barrier(float* out) {
    DISTILL_DYNAMIC_SHARED(float, shared);
    shared[threadIdx.x] = 1;                     // missing_warp_barrier (thread): data race
    __shfl_sync(0xffffffff, 1, 0);               // orders nothing in memory
    out[threadIdx.x] = shared[threadIdx.x ^ 1];  // missing_warp_barrier (thread): data race
}

__global__ void warp_barriers_for_two_warps(float* out) {
    DISTILL_STATIC_SHARED(shared, float);
    if (threadIdx.x == 0) shared = 1;  // warp_barriers_for_two_warps (thread): data race
    __syncwarp();
    if (threadIdx.x == 32) out[0] = shared;  // warp_barriers_for_two_warps (thread): data race
}

__global__ void race_between_blocks(float* out) {
    if (threadIdx.x == 0) out[0] += 1;  // race_between_blocks (thread): data race
}

// Every thread of the block that is last reads what threads of the other wrote, after a barrier of its own block.
__global__ void missing_fence(float* out) {
    DISTILL_STATIC_SHARED(is_last, bool);
    unsigned* const finished = reinterpret_cast<unsigned*>(out);
    if (threadIdx.x == 0) {
        out[1 + blockIdx.x] = 1;  // missing_fence (thread): data race
        is_last = atomicAdd(finished, 1u) % 2 != 0;
    }
    __syncthreads();
    if (is_last && threadIdx.x < 2) out[8 + threadIdx.x] = out[1 + threadIdx.x];  // missing_fence (thread): data race
}

// A wait that no launch but a cooperative one ends: the other block begins when this one has ended.
__global__ void waits_for_later_block(float* out) {
    unsigned* const arrived = reinterpret_cast<unsigned*>(out);
    atomicAdd(arrived, 1u);
    while (__ldcv(arrived) < gridDim.x * blockDim.x)
        __nanosleep(20);  // waits_for_later_block (always): need a cooperative launch
}

__global__ void missing_fence_of_waiting_blocks(float* out) {
    unsigned* const arrived = reinterpret_cast<unsigned*>(out);
    out[1 + blockIdx.x] = 1;  // missing_fence_of_waiting_blocks (thread): data race
    atomicAdd(arrived, 1u);
    while (__ldcv(arrived) < gridDim.x) __nanosleep(20);
    out[8 + blockIdx.x] = out[2 - blockIdx.x];  // missing_fence_of_waiting_blocks (thread): data race
}

__global__ void barrier_after_exit(float*) {
    if (threadIdx.x == 5) return;
    __syncthreads();  // barrier_after_exit (always): waits for thread (5, 0, 0), which has left the kernel
}

__global__ void barriers_in_branches(float*) {
    if (threadIdx.x < 5)
        __syncthreads();  // barriers_in_branches (always): divergent barrier
    else
        __syncthreads();  // barriers_in_branches (always): divergent barrier
}

__global__ void barrier_against_shuffle(float* out) {
    if (threadIdx.x < 16)
        __syncthreads();  // barrier_against_shuffle (always): in __syncthreads
    else
        out[0] = __shfl_xor_sync(0xffffffff, 1.f, 1);  // barrier_against_shuffle (always): waits for lane 0, which waits at
}

__global__ void shuffle_of_partial_warp(float* out) {
    out[threadIdx.x] =
        __shfl_xor_sync(0xffffffff, 1.f, 1);  // shuffle_of_partial_warp (always): names lane 31, which the block
}

__global__ void shuffle_after_exit(float* out) {
    if (threadIdx.x == 40) return;
    out[threadIdx.x] =
        __shfl_down_sync(0xffffffff, 1.f, 1);  // shuffle_after_exit (always): lane 8, which has left the kernel
}

__global__ void mask_without_caller(float* out) {
    out[threadIdx.x] = __shfl_sync(0xfffffffe, 1.f, 1);  // mask_without_caller (always): does not name its caller, lane 0
}

__global__ void masks_differ(float*) {
    __ballot_sync(threadIdx.x < 16 ? 0xffffffff : 0xffff0000, 1);  // masks_differ (always): waits for lane 16, which
}

__global__ void intrinsics_differ(float*) {
    if (threadIdx.x % 2 == 0)
        __any_sync(0xffffffff, 1);  // intrinsics_differ (always): in __a
    else
        __all_sync(0xffffffff, 1);  // intrinsics_differ (always): in __a
}

__global__ void global_read_past_end(float* out) {
    out[0] = out[threadIdx.x + 1];  // global_read_past_end (address): heap-buffer-overflow
}

__global__ void global_write_past_end(float* out) {
    out[threadIdx.x + 1] = 0;  // global_write_past_end (address): heap-buffer-overflow
}

__global__ void global_read_before_begin(float* out) {
    out[0] = out[static_cast<int>(threadIdx.x) - 1];  // global_read_before_begin (address): heap-buffer-overflow
}

__global__ void dynamic_shared_read_past_end(float* out) {
    DISTILL_DYNAMIC_SHARED(float, shared);
    out[threadIdx.x] = shared[threadIdx.x + 1];  // dynamic_shared_read_past_end (address): heap-buffer-overflow
}

__global__ void dynamic_shared_write_past_end(float*) {
    DISTILL_DYNAMIC_SHARED(float, shared);
    shared[threadIdx.x + 1] = 0;  // dynamic_shared_write_past_end (address): heap-buffer-overflow
}

// A pointer, so that the bounds of the array's type are not what finds it.
__global__ void static_shared_read_past_end(float* out) {
    DISTILL_STATIC_SHARED(shared, float[64]);
    const float* const begin = shared;
    out[threadIdx.x] = begin[threadIdx.x + 1];  // static_shared_read_past_end (address): use-after-poison
}

__global__ void static_shared_write_past_end(float*) {
    DISTILL_STATIC_SHARED(shared, float[64]);
    float* const begin = shared;
    begin[threadIdx.x + 1] = 0;  // static_shared_write_past_end (address): use-after-poison
}

__global__ void misaligned_vector_load(float* out) {
    const float4 four = *reinterpret_cast<const float4*>(out + 1);  // misaligned_vector_load (alignment): misaligned address
    out[threadIdx.x] = four.x;
}

__global__ void misaligned_cached_load(float* out) {
    out[threadIdx.x] = __ldg(reinterpret_cast<const float4*>(out + 1)).x;  // misaligned_cached_load (always): aligned to 16
}

__global__ void misaligned_streaming_store(float* out) {
    __stcs(reinterpret_cast<uint4*>(out + 2), uint4{1, 2, 3, 4});  // misaligned_streaming_store (always): aligned to 16
}

__global__ void misaligned_vector_store(float* out) {
    *reinterpret_cast<uint4*>(out + 2) = uint4{1, 2, 3, 4};  // misaligned_vector_store (alignment): misaligned address
}

__global__ void fill(float* out) { out[threadIdx.x] = 1; }  // use_after_free (address): heap-use-after-free

struct bug {
    const char* name;
    void (*kernel)(float*);
    unsigned blocks = 1, threads = 64;
    bool cooperative = false;
};
#define DISTILL_BUG(kernel, ...) \
    bug { #kernel, kernel __VA_OPT__(, ) __VA_ARGS__ }
const bug bugs[] = {
    DISTILL_BUG(missing_barrier),
    DISTILL_BUG(missing_second_barrier),
    DISTILL_BUG(missing_warp_barrier, 1, 32),
    DISTILL_BUG(warp_barriers_for_two_warps),
    DISTILL_BUG(race_between_blocks, 2),
    DISTILL_BUG(missing_fence, 2),
    DISTILL_BUG(waits_for_later_block, 2),
    DISTILL_BUG(missing_fence_of_waiting_blocks, 2, 1, true),
    DISTILL_BUG(barrier_after_exit),
    DISTILL_BUG(barriers_in_branches),
    DISTILL_BUG(barrier_against_shuffle, 1, 32),
    DISTILL_BUG(shuffle_of_partial_warp, 1, 31),
    DISTILL_BUG(shuffle_after_exit),
    DISTILL_BUG(mask_without_caller),
    DISTILL_BUG(masks_differ, 1, 32),
    DISTILL_BUG(intrinsics_differ, 1, 32),
    DISTILL_BUG(global_read_past_end),
    DISTILL_BUG(global_write_past_end),
    DISTILL_BUG(global_read_before_begin),
    DISTILL_BUG(dynamic_shared_read_past_end),
    DISTILL_BUG(dynamic_shared_write_past_end),
    DISTILL_BUG(static_shared_read_past_end),
    DISTILL_BUG(static_shared_write_past_end),
    DISTILL_BUG(misaligned_vector_load),
    DISTILL_BUG(misaligned_vector_store),
    DISTILL_BUG(misaligned_cached_load),
    DISTILL_BUG(misaligned_streaming_store),
    {"use_after_free", nullptr},
    {"host_reads_device_memory", nullptr},
};

}  // namespace

int main(int count, char** arguments) {
    for (const bug& b : bugs) {
        if (count < 2) std::puts(b.name);
        if (count < 2 || std::strcmp(arguments[1], b.name) != 0) continue;
        float* out = nullptr;
        const unsigned numbers = b.cooperative ? 16 : b.threads;
        cudaMalloc(&out, numbers * sizeof(float));
        cudaMemset(out, 0, numbers * sizeof(float));
        cudaDeviceSynchronize();
        if (b.cooperative) {
            cudaLaunchAttribute cooperative{};
            cooperative.id = cudaLaunchAttributeCooperative;
            cooperative.val.cooperative = 1;
            cudaLaunchConfig_t config{};
            config.gridDim = b.blocks;
            config.blockDim = b.threads;
            config.attrs = &cooperative;
            config.numAttrs = 1;
            cudaLaunchKernelEx(&config, b.kernel, out);
        } else if (b.kernel != nullptr) {
            DISTILL_LAUNCH(b.kernel, b.blocks, b.threads, b.threads * sizeof(float), nullptr, out);
        } else if (std::strcmp(b.name, "use_after_free") == 0) {
            cudaFreeAsync(out, nullptr);
            DISTILL_LAUNCH(fill, 1, b.threads, 0, nullptr, out);
        } else {
            std::printf("%f\n", static_cast<double>(out[0]));  // host_reads_device_memory (address): use-after-poison
        }
        cudaDeviceSynchronize();
        std::puts("not found");
        return 0;
    }
    return count < 2 ? 0 : 2;
}
