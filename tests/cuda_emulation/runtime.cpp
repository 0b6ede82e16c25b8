// The runtime API: memory of exact size, streams whose work waits until somebody synchronises, graphs.
#include "device.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using work = std::function<void()>;

struct CUgraph_st {
    std::vector<work> nodes;
    std::vector<std::shared_ptr<void>> memory;  // what was allocated during the capture
};
struct CUgraphExec_st : CUgraph_st {};

// When the stream that recorded it last came to it.
struct CUevent_st {
    cudaStream_t stream = nullptr;
    std::shared_ptr<std::optional<std::chrono::steady_clock::time_point>> reached;
};

struct CUstream_st {
    bool blocking = true;  // ordered with the default stream
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    cudaStreamCaptureMode mode{};
    std::thread::id capturing_thread;
    CUgraph_st captured;
};

namespace cuda_emulation {
namespace {

struct piece {
    cudaStream_t stream;
    work run;
};

constexpr std::align_val_t alignment{256};
constexpr int compute_capability = 9;
std::recursive_mutex mutex;  // the device does one thing at a time
std::list<piece> pending;    // of all streams, in the order in which they were put there
CUstream_st default_stream;
std::list<CUstream_st> streams;
std::map<const char*, std::size_t> allocations;
std::map<const void*, int> shared_limits;
thread_local cudaError last_error = cudaSuccess;

cudaError answer(cudaError error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

// The allocation that holds these bytes, or null.
const char* allocation_of(const void* memory, std::size_t bytes) {
    const char* const begin = static_cast<const char*>(memory);
    const auto after = allocations.upper_bound(begin);
    if (after == allocations.begin()) return nullptr;
    const auto [start, size] = *std::prev(after);
    const auto offset = static_cast<std::size_t>(begin - start);
    return offset <= size && bytes <= size - offset ? start : nullptr;
}

// AddressSanitizer lets nobody touch the device's memory but kernels and copies.
void let_host_touch([[maybe_unused]] const char* memory, [[maybe_unused]] std::size_t bytes, [[maybe_unused]] bool may) {
#ifdef DISTILL_ADDRESS_SANITIZER
    if (may)
        ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    else
        ASAN_POISON_MEMORY_REGION(memory, bytes);
#endif
}

struct on_device {
    on_device() {
        for (const auto& [memory, bytes] : allocations) let_host_touch(memory, bytes, true);
    }
    ~on_device() {
        for (const auto& [memory, bytes] : allocations) let_host_touch(memory, bytes, false);
    }
    on_device(const on_device&) = delete;
};

void* allocate(std::size_t bytes) {
    if (bytes == 0 || bytes > device.memory_bytes - std::min(device.memory_bytes, allocated_bytes())) return nullptr;
    void* const memory = ::operator new(bytes, alignment, std::nothrow);
    if (memory == nullptr) return nullptr;
    std::memset(memory, unwritten, bytes);
    allocations.emplace(static_cast<char*>(memory), bytes);
    let_host_touch(static_cast<char*>(memory), bytes, false);
    return memory;
}

void release(void* memory) {
    const auto found = allocations.find(static_cast<char*>(memory));
    if (found == allocations.end()) return;
    let_host_touch(found->first, found->second, true);
    allocations.erase(found);
    ::operator delete(memory, alignment);
}

// Runs what must have run when `stream` is done: its own work and, as the default stream is ordered with all blocking streams,
// what that implies. Work of other streams stays.
void drain(const CUstream_st& stream) {
    std::list<piece> now;
    bool default_after = false, others_after = false;
    for (auto p = pending.end(); p != pending.begin();) {
        --p;
        const bool is_default = p->stream == &default_stream;
        if (p->stream != &stream && !(p->stream->blocking && (is_default ? others_after : default_after))) continue;
        if (p->stream->blocking) (is_default ? default_after : others_after) = true;
        const auto needed = p++;
        now.splice(now.begin(), pending, needed);
    }
    const on_device access;
    for (piece& p : now) p.run();
}

void drain_all() {
    drain(default_stream);
    for (CUstream_st& s : streams) drain(s);
}

CUstream_st& stream_of(cudaStream_t stream) { return stream == nullptr ? default_stream : *stream; }

cudaError invalidate(CUstream_st& stream, cudaError error) {
    stream.capture = cudaStreamCaptureStatusInvalidated;
    return answer(error);
}

// A call that a capture under way forbids spoils the capture.
cudaError forbidden_by_captures() {
    for (CUstream_st& s : streams) {
        if (s.capture == cudaStreamCaptureStatusNone || s.mode == cudaStreamCaptureModeRelaxed) continue;
        if (s.mode == cudaStreamCaptureModeThreadLocal && s.capturing_thread != std::this_thread::get_id()) continue;
        return invalidate(s, cudaErrorStreamCaptureUnsupported);
    }
    return cudaSuccess;
}

cudaError enqueue(cudaStream_t to, work run) {
    CUstream_st& stream = stream_of(to);
    for (CUstream_st& s : streams)
        if (&stream == &default_stream && s.blocking && s.capture != cudaStreamCaptureStatusNone)
            return invalidate(s, cudaErrorStreamCaptureImplicit);
    if (stream.capture == cudaStreamCaptureStatusInvalidated) return answer(cudaErrorStreamCaptureInvalidated);
    if (stream.capture == cudaStreamCaptureStatusActive)
        stream.captured.nodes.push_back(std::move(run));
    else
        pending.push_back({&stream, std::move(run)});
    return cudaSuccess;
}

cudaError check_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const bool to_device = allocation_of(to, bytes) != nullptr, from_device = allocation_of(from, bytes) != nullptr;
    const bool wants_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool wants_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const bool fits = kind == cudaMemcpyDefault || (to_device == wants_to && from_device == wants_from);
    return bytes == 0 || fits ? cudaSuccess : answer(cudaErrorInvalidValue);
}

struct named_error {
    cudaError error;
    const char *name, *text;
};
constexpr named_error named_errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge", "too many blocks in cooperative launch"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
};

const named_error& find_error(cudaError error) {
    static constexpr named_error unknown{{}, "unrecognized error code", "unrecognized error code"};
    for (const named_error& e : named_errors)
        if (e.error == error) return e;
    return unknown;
}

using guard = std::lock_guard<std::recursive_mutex>;

}  // namespace

std::size_t allocated_bytes() {
    const guard lock(mutex);
    std::size_t sum = 0;
    for (const auto& [memory, bytes] : allocations) sum += bytes;
    return sum;
}

cudaError enqueue_kernel(dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream, bool cooperative,
                         const void* kernel, std::function<void()> body) {
    const guard lock(mutex);
    const auto limit = shared_limits.find(kernel);
    const int shared_limit = limit == shared_limits.end() ? device.shared_bytes_per_block : limit->second;
    const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z,
                        blocks = std::uint64_t{grid.x} * grid.y * grid.z;
    const bool fits = threads >= 1 && threads <= 1024 && block.z <= 64 && grid.x >= 1 && grid.x <= 0x7fffffff &&
                      grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
    if (!fits) return answer(cudaErrorInvalidConfiguration);
    if (shared_bytes > static_cast<std::size_t>(shared_limit)) return answer(cudaErrorInvalidValue);
    if (cooperative) {
        int resident = 0;
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, static_cast<int>(threads), shared_bytes);
        if (blocks > static_cast<std::uint64_t>(resident) * static_cast<unsigned>(device.multiprocessors))
            return answer(cudaErrorCooperativeLaunchTooLarge);
    }
    return enqueue(stream, [=, run = std::move(body)] { run_grid(grid, block, shared_bytes, cooperative, run); });
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

const char* cudaGetErrorName(cudaError_t error) { return find_error(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return find_error(error).text; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int* number) { return *number = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int number) { return answer(number == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
    if (number != 0) return answer(cudaErrorInvalidDevice);
    *properties = {.name = {},
                   .totalGlobalMem = device.memory_bytes,
                   .major = compute_capability,
                   .minor = 0,
                   .multiProcessorCount = device.multiprocessors};
    std::snprintf(properties->name, sizeof properties->name, "the emulation on the CPU");
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number) {
    if (number != 0) return answer(cudaErrorInvalidDevice);
    const std::pair<cudaDeviceAttr, int> known[] = {
        {cudaDevAttrMaxThreadsPerBlock, 1024},
        {cudaDevAttrMaxSharedMemoryPerBlock, device.shared_bytes_per_block},
        {cudaDevAttrWarpSize, warpSize},
        {cudaDevAttrMultiProcessorCount, device.multiprocessors},
        {cudaDevAttrL2CacheSize, device.l2_bytes},
        {cudaDevAttrMaxThreadsPerMultiProcessor, device.threads_per_multiprocessor},
        {cudaDevAttrComputeCapabilityMajor, compute_capability},
        {cudaDevAttrComputeCapabilityMinor, 0},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, device.shared_bytes_per_multiprocessor},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, device.shared_bytes_per_block_optin},
        {cudaDevAttrCooperativeLaunch, device.cooperative_launch},
        {cudaDevAttrMemoryPoolsSupported, 1},
    };
    for (const auto& [name, holds] : known)
        if (name == attribute) return *value = holds, cudaSuccess;
    return answer(cudaErrorInvalidValue);
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
    const guard lock(mutex);
    if (value < 0 || value > device.shared_bytes_per_block_optin) return answer(cudaErrorInvalidValue);
    shared_limits[kernel] = std::max(value, device.shared_bytes_per_block);
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads, std::size_t shared_bytes) {
    if (threads < 1 || threads > 1024) return answer(cudaErrorInvalidValue);
    const auto in_shared = static_cast<std::size_t>(device.shared_bytes_per_multiprocessor) / (shared_bytes + 1024);
    *blocks = std::min({device.threads_per_multiprocessor / ((threads + 31) / 32 * 32), static_cast<int>(in_shared), 32});
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    const guard lock(mutex);
    if (const cudaError error = forbidden_by_captures()) return error;
    *memory = allocate(bytes);
    return answer(*memory == nullptr && bytes != 0 ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
    const guard lock(mutex);
    CUstream_st& s = stream_of(stream);
    if (s.capture == cudaStreamCaptureStatusInvalidated) return answer(cudaErrorStreamCaptureInvalidated);
    *memory = allocate(bytes);
    if (s.capture == cudaStreamCaptureStatusActive && *memory != nullptr) s.captured.memory.emplace_back(*memory, release);
    return answer(*memory == nullptr && bytes != 0 ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaFree(void* memory) {
    const guard lock(mutex);
    if (memory == nullptr) return cudaSuccess;
    if (const cudaError error = forbidden_by_captures()) return error;
    if (!allocations.contains(static_cast<char*>(memory))) return answer(cudaErrorInvalidValue);
    drain_all();
    return release(memory), cudaSuccess;
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
    const guard lock(mutex);
    if (!allocations.contains(static_cast<char*>(memory))) return answer(cudaErrorInvalidValue);
    // What a graph allocates, a graph keeps: it runs more than once.
    for (const auto& kept : stream_of(stream).captured.memory)
        if (kept.get() == memory) return cudaSuccess;
    return enqueue(stream, [memory] { release(memory); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const guard lock(mutex);
    if (const cudaError error = check_copy(to, from, bytes, kind)) return error;
    return enqueue(stream, [=] { std::memmove(to, from, bytes); });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const guard lock(mutex);
    if (const cudaError error = forbidden_by_captures()) return error;
    if (const cudaError error = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return error;
    return drain(default_stream), cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
    const guard lock(mutex);
    if (bytes != 0 && allocation_of(memory, bytes) == nullptr) return answer(cudaErrorInvalidValue);
    return enqueue(stream, [=] { std::memset(memory, value, bytes); });
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) { return cudaMemsetAsync(memory, value, bytes, nullptr); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    const guard lock(mutex);
    *stream = &streams.emplace_back();
    (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const guard lock(mutex);
    if (stream == nullptr) return answer(cudaErrorInvalidResourceHandle);
    drain(*stream);
    return streams.remove_if([&](const CUstream_st& s) { return &s == stream; }), cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const guard lock(mutex);
    CUstream_st& s = stream_of(stream);
    if (s.capture != cudaStreamCaptureStatusNone) return invalidate(s, cudaErrorStreamCaptureUnsupported);
    return drain(s), cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    const guard lock(mutex);
    CUstream_st& s = stream_of(stream);
    if (s.capture != cudaStreamCaptureStatusNone) return invalidate(s, cudaErrorStreamCaptureUnsupported);
    for (const piece& p : pending)
        if (p.stream == &s) return cudaErrorNotReady;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return *event = new CUevent_st, cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const guard lock(mutex);
    event->stream = stream;
    event->reached = std::make_shared<std::optional<std::chrono::steady_clock::time_point>>();
    return enqueue(stream, [reached = event->reached] { *reached = std::chrono::steady_clock::now(); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const guard lock(mutex);
    if (event->reached == nullptr || event->reached->has_value()) return cudaSuccess;
    return cudaStreamSynchronize(event->stream);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    const guard lock(mutex);
    if (begin->reached == nullptr || end->reached == nullptr) return answer(cudaErrorInvalidResourceHandle);
    if (!begin->reached->has_value() || !end->reached->has_value()) return answer(cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(**end->reached - **begin->reached).count();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const guard lock(mutex);
    return delete event, cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    const guard lock(mutex);
    if (const cudaError error = forbidden_by_captures()) return error;
    return drain_all(), cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    const guard lock(mutex);
    if (stream == nullptr) return answer(cudaErrorStreamCaptureUnsupported);
    if (stream->capture != cudaStreamCaptureStatusNone) return answer(cudaErrorInvalidValue);
    stream->capture = cudaStreamCaptureStatusActive;
    stream->mode = mode;
    stream->capturing_thread = std::this_thread::get_id();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    const guard lock(mutex);
    *graph = nullptr;
    if (stream == nullptr || stream->capture == cudaStreamCaptureStatusNone) return answer(cudaErrorInvalidValue);
    CUgraph_st captured = std::exchange(stream->captured, {});
    const auto status = std::exchange(stream->capture, cudaStreamCaptureStatusNone);
    if (status == cudaStreamCaptureStatusInvalidated) return answer(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st(std::move(captured));
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    const guard lock(mutex);
    return *status = stream_of(stream).capture, cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    return *executable = new CUgraphExec_st{*graph}, cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    const guard lock(mutex);
    for (const work& node : executable->nodes)
        if (const cudaError error = enqueue(stream, node)) return error;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    const guard lock(mutex);
    return delete executable, cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    const guard lock(mutex);
    return delete graph, cudaSuccess;
}
