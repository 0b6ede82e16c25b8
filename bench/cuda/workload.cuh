// Buffers of one shape on the device, and how a call on them is timed.
#pragma once

#include <benchmark/benchmark.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <distill/backend/cuda.cuh>
#include <distill/core/batch.hpp>
#include <distill/core/result.hpp>
#include <distill/token/detail/philox.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <support/launch.cuh>
#include <vector>

// The element types that are measured. The emulation, on which the command is rehearsed, measures nothing: one type is enough.
#ifdef DISTILL_CUDA_EMULATION
#define DISTILL_FOR_EACH_ELEMENT(of) of(float)
#else
#define DISTILL_FOR_EACH_ELEMENT(of) of(float) of(__half) of(__nv_bfloat16)
#endif

namespace bench {

// Throws CUDA's words for a function of its that failed; what is called next does not hear of it.
inline void check(cudaError_t status) {
    if (status == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());
    throw std::runtime_error(cudaGetErrorString(status));
}

template <class T>
class device_buffer {
public:
    explicit device_buffer(std::size_t size) : size_(size) { check(cudaMalloc(&data_, size * sizeof(T))); }
    device_buffer(std::size_t size, T value) : device_buffer(size) {
        const std::vector<T> values(size, value);
        check(cudaMemcpy(data_, values.data(), size * sizeof(T), cudaMemcpyHostToDevice));
    }
    device_buffer(const device_buffer&) = delete;
    device_buffer& operator=(const device_buffer&) = delete;
    ~device_buffer() { static_cast<void>(cudaFree(data_)); }

    [[nodiscard]] T* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t bytes() const { return size_ * sizeof(T); }
    // Waits for what is enqueued.
    [[nodiscard]] std::vector<T> values() const {
        std::vector<T> copy(size_);
        check(cudaMemcpy(copy.data(), data_, bytes(), cudaMemcpyDeviceToHost));
        return copy;
    }
    [[nodiscard]] T front() const { return values().front(); }

private:
    T* data_ = nullptr;
    std::size_t size_;
};

// Blocks for a loop over so many entries.
inline constexpr unsigned threads_of_block = 256;
inline unsigned blocks_of(std::size_t entries) {
    return static_cast<unsigned>(std::clamp<std::size_t>((entries + threads_of_block - 1) / threads_of_block, 1, 1024));
}

struct shape {
    std::size_t rows, vocabulary;
    friend bool operator==(const shape&, const shape&) = default;
};

// Two independent normal numbers from one of Philox's counters (Box and Muller 1958). The student is the teacher's neighbour:
// KL about 0.05.
template <class Element>
__global__ void fill(Element* student, Element* teacher, std::size_t count) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count;
         i += gridDim.x * std::size_t{blockDim.x}) {
        const auto words =
            distill::philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0}, {20260513, 0});
        const float radius = sqrtf(-2.0f * logf((static_cast<float>(words[0]) + 1.0f) * 0x1p-32f));
        const float half_turns = static_cast<float>(words[1]) * 0x1p-31f;
        const float z = 3.0f * radius * cospif(half_turns);
        student[i] = static_cast<Element>(z);
        teacher[i] = static_cast<Element>(z + 0.3f * radius * sinpif(half_turns));
    }
}

// Of whatever type.
inline std::shared_ptr<void> workload_in_memory;

template <class Element>
struct workload {
    shape size;
    device_buffer<Element> student, teacher, gradient;
    device_buffer<std::int32_t> tokens, teacher_tokens;
    device_buffer<float> advantages, old_log_probs;
    device_buffer<distill::loss_result> result;

    explicit workload(shape s)
        : size(s),
          student(s.rows * s.vocabulary),
          teacher(student.size()),
          gradient(student.size()),
          tokens(s.rows, 5),
          teacher_tokens(s.rows, 7),
          advantages(s.rows, 1.0f),
          old_log_probs(s.rows, -12.0f),
          result(1) {
        DISTILL_LAUNCH(fill<Element>, blocks_of(entries()), threads_of_block, 0, nullptr, student.data(), teacher.data(),
                       entries());
        check(cudaGetLastError());
        check(cudaDeviceSynchronize());
    }

    // The workload of a shape. One at a time has memory: another one, of any type, takes the place of the last.
    static workload& shared(shape s) {
        static std::weak_ptr<workload> mine;
        if (const auto same = mine.lock(); same && same->size == s) return *same;
        workload_in_memory.reset();
        const auto made = std::make_shared<workload>(s);
        mine = made;
        workload_in_memory = made;
        return *made;
    }

    [[nodiscard]] std::size_t entries() const { return student.size(); }
    [[nodiscard]] distill::logits_view<Element> destination() const { return {gradient.data(), size.rows, size.vocabulary}; }
    [[nodiscard]] distill::batch<Element> batch() const {
        return {.student = {student.data(), size.rows, size.vocabulary},
                .teacher = {teacher.data(), size.rows, size.vocabulary},
                .tokens = {tokens.data(), size.rows},
                .old_log_probs = {old_log_probs.data(), size.rows},
                .advantages = {advantages.data(), size.rows}};
    }
    void copy_student_to_gradient() const {
        check(cudaMemcpyAsync(gradient.data(), student.data(), student.bytes(), cudaMemcpyDeviceToDevice));
    }
};

// The device's seconds for `calls` of `work`, enqueued one after another. Work that is shorter than its enqueuing takes as long
// as that.
template <class Work>
double seconds(std::int64_t calls, const Work& work) {
    struct event {
        cudaEvent_t handle{};
        event() { check(cudaEventCreate(&handle)); }
        ~event() { static_cast<void>(cudaEventDestroy(handle)); }
    };
    const event begin, end;
    check(cudaEventRecord(begin.handle));
    for (std::int64_t i = 0; i < calls; ++i) work();
    check(cudaEventRecord(end.handle));
    check(cudaEventSynchronize(end.handle));
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, begin.handle, end.handle));
    return static_cast<double>(milliseconds) * 1e-3;
}

// Times `work`, which has to read `inputs` buffers of the workload and to write one. Before and after every batch of calls a copy
// of the student to the gradient's buffer is timed: a device's clock drifts.
template <class Element, class Work>
void measure(benchmark::State& state, const workload<Element>& w, int inputs, const Work& work) {
    const auto copy = [&w] { w.copy_student_to_gradient(); };
    const auto calls_of = [](const auto& timed) {
        timed();  // translated and loaded before it is timed
        constexpr double batch = 2e-3, most = 1000.0;
        return static_cast<std::int64_t>(std::clamp(batch / seconds(1, timed), 1.0, most));
    };
    const std::int64_t calls = calls_of(work), copies = calls_of(copy);
    double total = 0.0, copying = 0.0, batches = 0.0;
    while (state.KeepRunningBatch(calls)) {
        copying += 0.5 * seconds(copies, copy);
        const double elapsed = seconds(calls, work);
        copying += 0.5 * seconds(copies, copy);
        total += elapsed;
        batches += 1.0;
        state.SetIterationTime(elapsed);
    }
    const double bytes = static_cast<double>(w.entries() * sizeof(Element)),
                 call = total / (batches * static_cast<double>(calls));
    const double speed = (inputs + 1) * bytes / call,
                 speed_of_copy = 2.0 * bytes * batches * static_cast<double>(copies) / copying;
    state.counters["us/call"] = call * 1e6;
    state.counters["ns/entry"] = call / static_cast<double>(w.entries()) * 1e9;
    state.counters["GB/s"] = speed * 1e-9;
    state.counters["copy GB/s"] = speed_of_copy * 1e-9;
    state.counters["of copy"] = speed / speed_of_copy;
}

// Registers a benchmark. What fails, for want of memory above all, is its line of the table.
template <class Run>
void add(const std::string& type, shape s, const std::string& name, const Run& run) {
    const std::string full = type + ", " + std::to_string(s.rows) + " x " + std::to_string(s.vocabulary) + "/" + name;
    benchmark::RegisterBenchmark(full.c_str(), [run](benchmark::State& state) {
        try {
            run(state);
        } catch (const std::exception& failure) {
            state.SkipWithError(failure.what());
        }
    })->UseManualTime();
}

// Each file registers, for a type and a shape, the benchmarks that answer its question.
template <class Element>
void add_objectives(const std::string& type, shape s);
template <class Element>
void add_peers(const std::string& type, shape s);

}  // namespace bench
