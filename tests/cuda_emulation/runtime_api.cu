// The emulated runtime API: work waits for a synchronisation, captures record, errors are those of CUDA.
#include <support/launch.cuh>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <thread>

namespace {

__global__ void add(int* to, int value) { *to += value; }
__global__ void shared_is_unwritten(int* answer) {
    DISTILL_DYNAMIC_SHARED(float, numbers);
    DISTILL_STATIC_SHARED(more, double[4]);
    if (std::isnan(numbers[threadIdx.x]) && std::isnan(more[threadIdx.x])) atomicAdd(answer, 1);
    numbers[threadIdx.x] = 1;
    more[threadIdx.x] = 1;
}

struct counter {
    counter() {
        REQUIRE(cudaMalloc(&device, sizeof(int)) == cudaSuccess);
        REQUIRE(cudaMemset(device, 0, sizeof(int)) == cudaSuccess);
        REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    }
    ~counter() { cudaFree(device); }
    int value() const {
        int host = -1;
        REQUIRE(cudaMemcpy(&host, device, sizeof host, cudaMemcpyDeviceToHost) == cudaSuccess);
        return host;
    }
    int* device = nullptr;
};

struct stream {
    explicit stream(unsigned flags = cudaStreamNonBlocking) {
        REQUIRE(cudaStreamCreateWithFlags(&handle, flags) == cudaSuccess);
    }
    ~stream() { cudaStreamDestroy(handle); }
    cudaStream_t handle = nullptr;
};

}  // namespace

TEST_CASE("a host that does not synchronise its stream sees that nothing has run") {
    const counter c;
    const stream s;
    int host = -1;
    DISTILL_LAUNCH(add, 1, 1, 0, s.handle, c.device, 3);
    CHECK(cudaMemcpyAsync(&host, c.device, sizeof host, cudaMemcpyDeviceToHost, s.handle) == cudaSuccess);
    CHECK(host == -1);
    CHECK(c.value() == 0);  // the default stream does not wait for a non-blocking one
    CHECK(cudaStreamQuery(s.handle) == cudaErrorNotReady);
    CHECK(cudaStreamSynchronize(s.handle) == cudaSuccess);
    CHECK(cudaStreamQuery(s.handle) == cudaSuccess);
    CHECK(host == 3);
}

TEST_CASE("streams wait for their own work, blocking streams for the default stream too") {
    const counter c;
    const stream one, other, blocking(cudaStreamDefault);
    DISTILL_LAUNCH(add, 1, 1, 0, one.handle, c.device, 1);
    DISTILL_LAUNCH(add, 1, 1, 0, other.handle, c.device, 10);
    CHECK(cudaStreamSynchronize(other.handle) == cudaSuccess);
    CHECK(c.value() == 10);
    DISTILL_LAUNCH(add, 1, 1, 0, nullptr, c.device, 100);
    DISTILL_LAUNCH(add, 1, 1, 0, blocking.handle, c.device, 1000);
    CHECK(cudaStreamSynchronize(blocking.handle) == cudaSuccess);
    DISTILL_LAUNCH(add, 1, 1, 0, blocking.handle, c.device, 10000);
    CHECK(c.value() == 11110);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(c.value() == 11111);
}

TEST_CASE("work of a destroyed stream has run") {
    const counter c;
    {
        const stream s;
        DISTILL_LAUNCH(add, 1, 1, 0, s.handle, c.device, 1);
    }
    CHECK(c.value() == 1);
}

TEST_CASE("stream-ordered memory lives until the stream comes to its end") {
    const counter c;
    const stream s;
    int* memory = nullptr;
    CHECK(cudaMallocAsync(&memory, sizeof(int), s.handle) == cudaSuccess);
    CHECK(cudaMemsetAsync(memory, 0, sizeof(int), s.handle) == cudaSuccess);
    DISTILL_LAUNCH(add, 1, 1, 0, s.handle, memory, 5);
    CHECK(cudaMemcpyAsync(c.device, memory, sizeof(int), cudaMemcpyDeviceToDevice, s.handle) == cudaSuccess);
    CHECK(cudaFreeAsync(memory, s.handle) == cudaSuccess);
    CHECK(cudaStreamSynchronize(s.handle) == cudaSuccess);
    CHECK(c.value() == 5);
    CHECK(cudaFree(memory) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
}

TEST_CASE("a capture records, and its graph runs as often as it is launched") {
    const counter c;
    const stream s;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    int* memory = nullptr;
    REQUIRE(cudaStreamBeginCapture(s.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
    DISTILL_LAUNCH(add, 1, 1, 0, s.handle, c.device, 2);
    CHECK(cudaMallocAsync(&memory, sizeof(int), s.handle) == cudaSuccess);
    CHECK(cudaMemcpyAsync(memory, c.device, sizeof(int), cudaMemcpyDeviceToDevice, s.handle) == cudaSuccess);
    CHECK(cudaFreeAsync(memory, s.handle) == cudaSuccess);
    REQUIRE(cudaStreamEndCapture(s.handle, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
    CHECK(c.value() == 0);
    for (int i = 0; i < 3; ++i) CHECK(cudaGraphLaunch(executable, s.handle) == cudaSuccess);
    CHECK(cudaStreamSynchronize(s.handle) == cudaSuccess);
    CHECK(c.value() == 6);
    CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}

TEST_CASE("a synchronisation or a read-back spoils a capture") {
    const counter c;
    int host = 0;
    void* memory = nullptr;
    const auto spoiled_by = [&](auto call) {
        const stream s(cudaStreamDefault);
        cudaGraph_t graph = nullptr;
        REQUIRE(cudaStreamBeginCapture(s.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
        CHECK(call(s.handle) != cudaSuccess);
        CHECK(cudaStreamEndCapture(s.handle, &graph) == cudaErrorStreamCaptureInvalidated);
        CHECK(graph == nullptr);
        CHECK(cudaGetLastError() != cudaSuccess);
    };
    spoiled_by([](cudaStream_t s) { return cudaStreamSynchronize(s); });
    spoiled_by([](cudaStream_t s) { return cudaStreamQuery(s); });
    spoiled_by([](cudaStream_t) { return cudaDeviceSynchronize(); });
    spoiled_by([&](cudaStream_t) { return cudaMemcpy(&host, c.device, sizeof host, cudaMemcpyDeviceToHost); });
    spoiled_by([&](cudaStream_t) { return cudaMalloc(&memory, 4); });
    spoiled_by([&](cudaStream_t) { return cudaFree(c.device); });
    spoiled_by([&](cudaStream_t) { return cudaMemsetAsync(c.device, 0, sizeof(int), nullptr); });
}

TEST_CASE("launches and copies that the device refuses are errors") {
    const counter c;
    const auto error_of = [&](dim3 grid, dim3 block, std::size_t shared_bytes) {
        DISTILL_LAUNCH(add, grid, block, shared_bytes, nullptr, c.device, 1);
        return cudaGetLastError();
    };
    CHECK(error_of(0, 32, 0) == cudaErrorInvalidConfiguration);
    CHECK(error_of(1, 0, 0) == cudaErrorInvalidConfiguration);
    CHECK(error_of(1, 1025, 0) == cudaErrorInvalidConfiguration);
    CHECK(error_of(dim3(1, 65536), 1, 0) == cudaErrorInvalidConfiguration);
    CHECK(error_of(1, 1, 49153) == cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 100000) == cudaSuccess);
    CHECK(error_of(1, 1, 100000) == cudaSuccess);
    CHECK(c.value() == 1);
    int host[2] = {};
    CHECK(cudaMemcpy(host, c.device, 2 * sizeof(int), cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(c.device, host, sizeof(int), cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(cudaPeekAtLastError() == cudaErrorInvalidValue);
    CHECK(cudaGetErrorName(cudaGetLastError()) == std::string("cudaErrorInvalidValue"));
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("a cooperative launch of more blocks than the device holds at once is refused") {
    const counter c;
    cudaLaunchAttribute cooperative{};
    cooperative.id = cudaLaunchAttributeCooperative;
    cooperative.val.cooperative = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = 1;
    config.blockDim = 1;
    CHECK(cudaLaunchKernelEx(&config, add, c.device, 1) == cudaSuccess);
    CHECK(c.value() == 1);
    config.gridDim = 1000000;
    config.attrs = &cooperative;
    config.numAttrs = 1;
    CHECK(cudaLaunchKernelEx(&config, add, c.device, 0) == cudaErrorCooperativeLaunchTooLarge);
    CHECK(cudaGetLastError() == cudaErrorCooperativeLaunchTooLarge);
}

TEST_CASE("an event is reached when its stream is, and times lie between two") {
    const counter c;
    const stream s;
    cudaEvent_t begin{}, end{};
    REQUIRE(cudaEventCreate(&begin) == cudaSuccess);
    REQUIRE(cudaEventCreate(&end) == cudaSuccess);
    float milliseconds = -1.0f;
    CHECK(cudaEventElapsedTime(&milliseconds, begin, end) == cudaErrorInvalidResourceHandle);
    CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventRecord(begin, s.handle) == cudaSuccess);
    DISTILL_LAUNCH(add, 1, 1, 0, s.handle, c.device, 3);
    CHECK(cudaEventRecord(end, s.handle) == cudaSuccess);
    CHECK(cudaEventSynchronize(end) == cudaSuccess);
    CHECK(cudaEventElapsedTime(&milliseconds, begin, end) == cudaSuccess);
    CHECK(milliseconds >= 0.0f);
    CHECK(cudaStreamQuery(s.handle) == cudaSuccess);
    CHECK(c.value() == 3);
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
}

TEST_CASE("the device has a name and a version") {
    cudaDeviceProp about{};
    int driver = 0, multiprocessors = 0;
    CHECK(cudaGetDeviceProperties(&about, 0) == cudaSuccess);
    CHECK(std::string(about.name) != "");
    CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0) == cudaSuccess);
    CHECK(about.multiProcessorCount == multiprocessors);
    CHECK(cudaDriverGetVersion(&driver) == cudaSuccess);
    CHECK(driver >= CUDART_VERSION / 1000 * 1000);
#ifdef DISTILL_CUDA_EMULATION
    CHECK(std::string(about.name) == "the emulation on the CPU");
#endif
}

TEST_CASE("every block starts with unwritten shared memory") {
    const counter c;
    DISTILL_LAUNCH(shared_is_unwritten, 8, 4, 4 * sizeof(float), nullptr, c.device);
    CHECK(c.value() == 32);
}

TEST_CASE("host threads share the device, each with a stream") {
    std::thread threads[2];
    for (std::thread& t : threads)
        t = std::thread([] {
            const counter c;
            const stream s;
            for (int i = 0; i < 20; ++i) {
                DISTILL_LAUNCH(add, 1, 1, 0, s.handle, c.device, 1);
                REQUIRE(cudaStreamSynchronize(s.handle) == cudaSuccess);
            }
            CHECK(c.value() == 20);
        });
    for (std::thread& t : threads) t.join();
}
