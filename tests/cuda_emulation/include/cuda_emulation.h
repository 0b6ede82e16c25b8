/// What a kernel reaches of the emulation, and what a test may set. Kernel sources include <cuda_runtime.h>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    constexpr dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1) : x(width), y(height), z(depth) {}
    unsigned x, y, z;
};

typedef struct CUstream_st* cudaStream_t;
enum cudaError : int;

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace cuda_emulation {

/// The order in which blocks run, and threads between two switch points: ascending without a seed. At the start the seed is
/// what the environment's DISTILL_CUDA_SEED holds. Answers the seed before.
std::optional<std::uint64_t> set_order(std::optional<std::uint64_t> seed);

/// What cudaDeviceGetAttribute answers; a test may change it before its launches.
struct device_properties {
    int multiprocessors = 4;
    int threads_per_multiprocessor = 2048;
    int shared_bytes_per_block = 48 * 1024;
    int shared_bytes_per_block_optin = 227 * 1024;
    int shared_bytes_per_multiprocessor = 228 * 1024;
    int l2_bytes = 50 * 1024 * 1024;
    int cooperative_launch = 1;
    std::size_t memory_bytes = std::size_t{16} << 30;
};
inline device_properties device;

/// Of the device's memory, what is allocated: what a stream-ordered release has given back when the stream has come to it.
std::size_t allocated_bytes();

/// Where a kernel calls an intrinsic; clang 14 has no std::source_location.
struct call_site {
    const char* file = "";
    unsigned line = 0;
    static constexpr call_site here(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
        return {file, line};
    }
};

enum class operation : unsigned char {
    syncthreads,
    count,
    any_thread,
    all_threads,
    syncwarp,
    shfl,
    up,
    down,
    exclusive_or,
    ballot,
    any,
    all
};

/// A block's barrier. Answers how many of its threads came with `predicate`.
int meet_block(operation what, bool predicate, call_site where);

/// What a lane takes home from a meeting of its warp: `value` of its source lane, and a bit for every lane that came with a
/// value other than 0. The value of a lane that did not take part is all ones: a NaN of every type.
struct warp_answer {
    std::uint64_t value;
    unsigned ballot;
};
warp_answer meet_warp(operation what, unsigned mask, std::uint64_t value, unsigned source_lane, call_site where);

inline unsigned lane;                // of the thread that runs
inline void* dynamic_shared_memory;  // of the block that runs
void* static_shared_memory(const void* key, std::size_t bytes, std::size_t alignment);
void fence();

/// Shuffles move numbers of 4 or 8 bytes, and the 16-bit floats.
template <class T>
concept shuffled = std::is_trivially_copy_constructible_v<T> &&(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

template <shuffled T>
T shuffle(operation what, unsigned mask, T value, unsigned source_lane, call_site where) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = meet_warp(what, mask, bits, source_lane, where).value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

[[noreturn]] void fail_misaligned(const void* at, std::size_t alignment, const char* name, call_site where);
inline void check_alignment(const void* at, std::size_t alignment, const char* name, call_site where) {
    if (reinterpret_cast<std::uintptr_t>(at) % alignment != 0) fail_misaligned(at, alignment, name, where);
}

/// Hands over to another thread of the blocks that are under way.
void let_others_run(call_site where);

/// Puts a kernel's run on the stream. An error is also where cudaGetLastError finds it.
cudaError enqueue_kernel(dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream, bool cooperative,
                         const void* kernel, std::function<void()> body);

template <class... Parameters, class... Arguments>
cudaError launch_kernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                        bool cooperative, const Arguments&... arguments) {
    static_assert((std::is_trivially_copy_constructible_v<Parameters> && ...),
                  "a kernel's parameters are copied byte by byte");
    static_assert((sizeof(Parameters) + ... + 0) <= 4096, "a kernel's parameters have at most 4096 bytes");
    return enqueue_kernel(grid, block, shared_bytes, stream, cooperative, reinterpret_cast<const void*>(kernel),
                          [kernel, copies = std::tuple<Parameters...>(arguments...)] { std::apply(kernel, copies); });
}

/// What kernel<<<grid, block, shared_bytes, stream>>>(arguments...) does.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            const Arguments&... arguments) {
    launch_kernel(kernel, grid, block, shared_bytes, stream, false, arguments...);
}

}  // namespace cuda_emulation
