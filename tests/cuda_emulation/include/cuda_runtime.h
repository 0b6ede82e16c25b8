/// CUDA's runtime API and its device functions, as far as this project's kernels and their tests use them, as host C++20.
/// tests/cuda_emulation/README.md says what is here and what it finds.
#pragma once

#include <cuda_emulation.h>

#include <algorithm>
#include <bit>
#include <cmath>

#define DISTILL_CUDA_EMULATION 1
// What the backend's headers leave to a consumer that runs kernels elsewhere than on a device.
#define DISTILL_ON_DEVICE 1
#define DISTILL_STATIC_SHARED(name, ...)                                                         \
    static char name##_site;                                                                     \
    std::type_identity_t<__VA_ARGS__>& name =                                                    \
        *static_cast<std::type_identity_t<__VA_ARGS__>*>(::cuda_emulation::static_shared_memory( \
            &name##_site, sizeof(std::type_identity_t<__VA_ARGS__>), alignof(std::type_identity_t<__VA_ARGS__>)))

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// Vectors, aligned as on the device.

#define DISTILL_VECTORS(type, name, align2, align4)                     \
    struct alignas(align2) name##2 {                                    \
        type x, y;                                                      \
    };                                                                  \
    struct alignas(align4) name##4 {                                    \
        type x, y, z, w;                                                \
    };                                                                  \
    constexpr name##2 make_##name##2(type x, type y) { return {x, y}; } \
    constexpr name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
DISTILL_VECTORS(float, float, 8, 16)
DISTILL_VECTORS(double, double, 16, 16)
DISTILL_VECTORS(int, int, 8, 16)
DISTILL_VECTORS(unsigned, uint, 8, 16)
DISTILL_VECTORS(unsigned short, ushort, 4, 8)
DISTILL_VECTORS(unsigned char, uchar, 2, 4)
DISTILL_VECTORS(long long, longlong, 16, 16)
DISTILL_VECTORS(unsigned long long, ulonglong, 16, 16)
#undef DISTILL_VECTORS

// Switch points: barriers, shuffles, votes. Each says where it is called when it is called wrongly.

inline void __syncthreads(cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    cuda_emulation::meet_block(cuda_emulation::operation::syncthreads, true, where);
}
inline int __syncthreads_count(int predicate, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    return cuda_emulation::meet_block(cuda_emulation::operation::count, predicate != 0, where);
}
inline int __syncthreads_or(int predicate, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    return cuda_emulation::meet_block(cuda_emulation::operation::any_thread, predicate != 0, where) != 0;
}
inline int __syncthreads_and(int predicate, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    return cuda_emulation::meet_block(cuda_emulation::operation::all_threads, predicate == 0, where) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffff, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    cuda_emulation::meet_warp(cuda_emulation::operation::syncwarp, mask, 0, 0, where);
}
template <cuda_emulation::shuffled T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    const unsigned inside = static_cast<unsigned>(width) - 1;
    return cuda_emulation::shuffle(cuda_emulation::operation::shfl, mask, value,
                                   (cuda_emulation::lane & ~inside) | (static_cast<unsigned>(source) & inside), where);
}
template <cuda_emulation::shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    const unsigned lane = cuda_emulation::lane, position = lane & (static_cast<unsigned>(width) - 1);
    return cuda_emulation::shuffle(cuda_emulation::operation::up, mask, value, delta > position ? lane : lane - delta,
                                   where);
}
template <cuda_emulation::shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    const unsigned lane = cuda_emulation::lane, last = lane | (static_cast<unsigned>(width) - 1);
    return cuda_emulation::shuffle(cuda_emulation::operation::down, mask, value, delta > last - lane ? lane : lane + delta,
                                   where);
}
template <cuda_emulation::shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize,
                  cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    const unsigned lane = cuda_emulation::lane, last = lane | (static_cast<unsigned>(width) - 1);
    const unsigned source = lane ^ static_cast<unsigned>(bits);
    return cuda_emulation::shuffle(cuda_emulation::operation::exclusive_or, mask, value, source > last ? lane : source,
                                   where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    return cuda_emulation::meet_warp(cuda_emulation::operation::ballot, mask, predicate != 0, 0, where).ballot;
}
inline int __any_sync(unsigned mask, int predicate, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    return cuda_emulation::meet_warp(cuda_emulation::operation::any, mask, predicate != 0, 0, where).ballot != 0;
}
inline int __all_sync(unsigned mask, int predicate, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    return cuda_emulation::meet_warp(cuda_emulation::operation::all, mask, predicate != 0, 0, where).ballot == mask;
}

/// A switch point: what a loop that waits for another thread calls.
inline void __nanosleep(unsigned, cuda_emulation::call_site where = cuda_emulation::call_site::here()) {
    cuda_emulation::let_others_run(where);
}

inline void __threadfence() { cuda_emulation::fence(); }
inline void __threadfence_block() { cuda_emulation::fence(); }

// Atomics, relaxed as on the device. Of integers alone: a sum of floats in no fixed order is not the same from run to run.

template <std::integral T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicOr(T* at, std::type_identity_t<T> value) {
    return __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicExch(T* at, std::type_identity_t<T> value) {
    return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
template <std::integral T>
T atomicMax(T* at, std::type_identity_t<T> value) {
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}
template <std::integral T>
T atomicMin(T* at, std::type_identity_t<T> value) {
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

/// A load that sees what another thread's atomic wrote: CUDA's volatile load, which is relaxed.
template <std::integral T>
T __ldcv(const T* at) {
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

// Loads and stores with a cache hint: the ones whose alignment every build checks. Bits, arithmetic.

#define DISTILL_LOAD(name)                                                                     \
    template <class T>                                                                         \
    T name(const T* at, cuda_emulation::call_site where = cuda_emulation::call_site::here()) { \
        cuda_emulation::check_alignment(at, alignof(T), #name, where);                         \
        return *at;                                                                            \
    }
DISTILL_LOAD(__ldg)
DISTILL_LOAD(__ldca)
DISTILL_LOAD(__ldcg)
DISTILL_LOAD(__ldcs)
#undef DISTILL_LOAD
#define DISTILL_STORE(name)                                                                                                \
    template <class T>                                                                                                     \
    void name(T* at, std::type_identity_t<T> value, cuda_emulation::call_site where = cuda_emulation::call_site::here()) { \
        cuda_emulation::check_alignment(at, alignof(T), #name, where);                                                     \
        *at = value;                                                                                                       \
    }
DISTILL_STORE(__stwb)
DISTILL_STORE(__stcg)
DISTILL_STORE(__stcs)
#undef DISTILL_STORE

constexpr float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
constexpr float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
constexpr int __float_as_int(float value) { return std::bit_cast<int>(value); }
constexpr unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
constexpr int __popc(unsigned bits) { return std::popcount(bits); }
constexpr int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
constexpr int __ffs(int bits) { return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1; }

using std::max;
using std::min;
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float sinpif(float x) { return static_cast<float>(std::sin(3.14159265358979323846 * static_cast<double>(x))); }
inline float cospif(float x) { return static_cast<float>(std::cos(3.14159265358979323846 * static_cast<double>(x))); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
// The C library declares these names for itself; they are as exact here as the functions without underscores.
extern "C" {
inline float __expf(float x) noexcept { return std::exp(x); }
inline float __logf(float x) noexcept { return std::log(x); }
inline float __log2f(float x) noexcept { return std::log2(x); }
}

// The runtime API.

#define CUDART_VERSION 13000

enum cudaError : int {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorCooperativeLaunchTooLarge = 720,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureImplicit = 906,
};
typedef cudaError cudaError_t;
const char* cudaGetErrorName(cudaError_t);
const char* cudaGetErrorString(cudaError_t);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrWarpSize = 10,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrL2CacheSize = 38,
    cudaDevAttrMaxThreadsPerMultiProcessor = 39,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
    cudaDevAttrCooperativeLaunch = 95,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
    cudaDevAttrMemoryPoolsSupported = 115,
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
/// The name says that there is no device.
struct cudaDeviceProp {
    char name[256];
    std::size_t totalGlobalMem;
    int major, minor, multiProcessorCount;
};
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaDeviceSynchronize();

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
cudaError_t cudaMalloc(void** memory, std::size_t bytes);
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaFree(void* memory);
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream = nullptr);
template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t bytes) {
    return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}
template <class T>
cudaError_t cudaMallocAsync(T** memory, std::size_t bytes, cudaStream_t stream) {
    return cudaMallocAsync(reinterpret_cast<void**>(memory), bytes, stream);
}

enum : unsigned { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);

typedef struct CUevent_st* cudaEvent_t;
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);
cudaError_t cudaEventDestroy(cudaEvent_t event);

enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };
enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone,
    cudaStreamCaptureStatusActive,
    cudaStreamCaptureStatusInvalidated
};
typedef struct CUgraph_st* cudaGraph_t;
typedef struct CUgraphExec_st* cudaGraphExec_t;
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          std::size_t shared_bytes);
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
    return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
template <class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*kernel)(Parameters...), int threads,
                                                          std::size_t shared_bytes) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void*>(kernel), threads,
                                                         shared_bytes);
}

enum cudaLaunchAttributeID { cudaLaunchAttributeCooperative = 2 };
union cudaLaunchAttributeValue {
    int cooperative;
};
struct cudaLaunchAttribute {
    cudaLaunchAttributeID id;
    cudaLaunchAttributeValue val;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute* attrs;
    unsigned numAttrs;
};
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
    bool cooperative = false;
    for (unsigned a = 0; a < config->numAttrs; ++a) cooperative = cooperative || config->attrs[a].val.cooperative != 0;
    return cuda_emulation::launch_kernel(kernel, config->gridDim, config->blockDim, config->dynamicSmemBytes, config->stream,
                                         cooperative, arguments...);
}
