// Buffers of one shape, and how a call on them is timed.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distill/distill.hpp>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "floor.hpp"
#include "peak_memory.hpp"

namespace bench {

// The shape of most questions: a real vocabulary, and rows enough that the buffers exceed the caches.
inline constexpr std::size_t language_model_vocabulary = 151936, many_rows = 64;

// Student, teacher and gradient of one element type. The student is the teacher's neighbour: KL about 0.05.
template <class Element>
struct workload {
    std::size_t rows, vocabulary;
    std::vector<Element> student, teacher, gradient;
    std::vector<std::int32_t> tokens, teacher_tokens;
    std::vector<float> advantages, old_log_probs, weights;

    workload(std::size_t row_count, std::size_t vocabulary_size)
        : rows(row_count),
          vocabulary(vocabulary_size),
          student(rows * vocabulary),
          teacher(student.size()),
          gradient(student.size()),
          tokens(rows, 5),
          teacher_tokens(rows, 7),
          advantages(rows, 1.0f),
          old_log_probs(rows, -12.0f),
          weights(rows, 1.0f) {
        std::mt19937 random(20260513);
        std::normal_distribution<float> normal;
        for (std::size_t i = 0; i < student.size(); ++i) {
            const float z = 3.0f * normal(random);
            student[i] = static_cast<Element>(z);
            teacher[i] = static_cast<Element>(z + 0.3f * normal(random));
        }
    }

    // One of each shape, made on first use.
    static workload& shared(std::size_t rows, std::size_t vocabulary) {
        static std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<workload>> all;
        auto& one = all[{rows, vocabulary}];
        if (!one) one = std::make_unique<workload>(rows, vocabulary);
        return *one;
    }

    [[nodiscard]] std::size_t entries() const { return rows * vocabulary; }
    [[nodiscard]] distill::logits_view<Element> destination() { return {gradient.data(), rows, vocabulary}; }
    [[nodiscard]] distill::batch<Element> batch() const {
        return {.student = {student.data(), rows, vocabulary},
                .teacher = {teacher.data(), rows, vocabulary},
                .tokens = tokens,
                .old_log_probs = old_log_probs,
                .advantages = advantages};
    }
};

// What the time of a call is divided by.
struct yardstick {
    std::size_t entries;  // of the student's logits
    std::function<void()> floor;
    std::string note = {};  // which floor, where it is another than `g = z - w` over the same float buffers
    std::string ratio = "x floor";
};

// Whether the table gives the time of an entry or that of a call.
enum class unit { nanoseconds_per_entry, microseconds_per_call };

template <class Work>
double seconds(const Work& work, int calls = 1) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) {
        work();
        benchmark::ClobberMemory();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
}

// As many calls as take 20 microseconds: a reading of the clock takes longer than the shortest call.
template <class Work>
int calls_of_one_timing(const Work& work) {
    return std::clamp(static_cast<int>(20e-6 / seconds(work)), 1, 10000);
}

inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

// Times `work`, each time between two runs of the floor, whose mean is the divisor: the speed of a shared machine drifts. The
// counters are medians over the timings.
template <class Work>
void measure(benchmark::State& state, const yardstick& y, const Work& work, unit u = unit::nanoseconds_per_entry) {
    work();
    y.floor();
    const int calls = calls_of_one_timing(work), floor_calls = calls_of_one_timing(y.floor);
    std::vector<double> times, floors, ratios;
    for (auto _ : state) {
        const double before = seconds(y.floor, floor_calls);
        times.push_back(seconds(work, calls));
        floors.push_back(0.5 * (before + seconds(y.floor, floor_calls)));
        ratios.push_back(times.back() / floors.back());
        state.SetIterationTime(times.back() * calls);
    }
    const bool per_call = u == unit::microseconds_per_call;
    const double scale = per_call ? 1e6 : 1e9 / static_cast<double>(y.entries);
    state.counters[per_call ? "us/call" : "ns/entry"] = median(times) * scale;
    state.counters["floor"] = median(floors) * scale;
    state.counters[y.ratio] = median(ratios);
    state.SetLabel(y.note);
}

// The floors on the float buffers of a shape.
inline yardstick subtraction(std::size_t rows, std::size_t vocabulary) {
    auto& w = workload<float>::shared(rows, vocabulary);
    return {w.entries(), [&w] { subtract(w.student.data(), w.teacher.data(), w.gradient.data(), w.entries()); }};
}
inline yardstick copying(std::size_t rows, std::size_t vocabulary) {
    auto& w = workload<float>::shared(rows, vocabulary);
    return {w.entries(), [&w] { copy(w.student.data(), w.gradient.data(), w.entries()); }, "floor: a copy of z"};
}
inline yardstick reading(std::size_t rows, std::size_t vocabulary) {
    auto& w = workload<float>::shared(rows, vocabulary);
    return {w.entries(), [&w] { benchmark::DoNotOptimize(read(w.student.data(), w.teacher.data(), w.entries())); },
            "floor: a read of z and w"};
}

// Registers a benchmark that sets itself up when it runs: setup() returns {yardstick, work}.
template <class Setup>
void add(const std::string& name, const Setup& setup, unit u = unit::nanoseconds_per_entry) {
    benchmark::RegisterBenchmark(name.c_str(), [setup, u](benchmark::State& state) {
        const auto [y, work] = setup();
        state.counters["peak MB"] = peak_megabytes(work);
        measure(state, y, work, u);
    })->UseManualTime();
}

// Loss and gradient of one objective on the float buffers of a shape.
template <class Objective, class Backend = distill::eigen<>>
void add_gradient(const std::string& name, const Objective& objective, std::size_t rows = many_rows,
                  std::size_t vocabulary = language_model_vocabulary, const Backend& backend = {},
                  unit u = unit::nanoseconds_per_entry, const std::string& note = {}) {
    add(
        name,
        [=] {
            auto& w = workload<float>::shared(rows, vocabulary);
            const distill::loss f{objective, backend, distill::token_mean{}};
            yardstick y = subtraction(rows, vocabulary);
            y.note = note;
            return std::pair(y, [f, &w] { benchmark::DoNotOptimize(f(w.batch(), w.destination())); });
        },
        u);
}

// Each file registers the benchmarks that answer its question.
void add_objectives();
void add_vocabularies();
void add_element_types();
void add_destinations();
void add_rows();
void add_threads();
void add_fusion();
void add_heads();
void add_math();
void add_peers();

}  // namespace bench
