// Buffers of one shape, and how a call on them is timed.
#pragma once

#include <benchmark/benchmark.h>

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

    // One of each shape, made when it is first asked for.
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

template <class Work>
double seconds(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    benchmark::ClobberMemory();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What a call is compared with.
struct yardstick {
    std::size_t entries;
    double bytes_per_entry;  // that the call has to move
    std::function<void()> floor;
};

// Times `work`, each time between two runs of the floor, whose mean is the divisor: a shared machine's speed drifts.
template <class Work>
void measure(benchmark::State& state, const yardstick& y, const Work& work) {
    work();
    y.floor();
    state.counters["peak MB"] = peak_megabytes(work);
    double total = 0.0, floor = 0.0;
    for (auto _ : state) {
        floor += 0.5 * seconds(y.floor);
        const double elapsed = seconds(work);
        floor += 0.5 * seconds(y.floor);
        total += elapsed;
        state.SetIterationTime(elapsed);
    }
    const double entries = static_cast<double>(state.iterations()) * static_cast<double>(y.entries);
    state.counters["ns/entry"] = total / entries * 1e9;
    state.counters["GB/s"] = y.bytes_per_entry * entries / total * 1e-9;
    state.counters["floor ns/entry"] = floor / entries * 1e9;
    state.counters["x floor"] = total / floor;
}

// The floors on the float buffers of a shape.
inline yardstick subtraction(std::size_t rows, std::size_t vocabulary, double bytes_per_entry = 12.0) {
    auto& w = workload<float>::shared(rows, vocabulary);
    return {w.entries(), bytes_per_entry,
            [&w] { subtract(w.student.data(), w.teacher.data(), w.gradient.data(), w.entries()); }};
}
inline yardstick copying(std::size_t rows, std::size_t vocabulary) {
    auto& w = workload<float>::shared(rows, vocabulary);
    return {w.entries(), 8.0, [&w] { copy(w.student.data(), w.gradient.data(), w.entries()); }};
}
inline yardstick reading(std::size_t rows, std::size_t vocabulary) {
    auto& w = workload<float>::shared(rows, vocabulary);
    return {w.entries(), 8.0, [&w] { benchmark::DoNotOptimize(read(w.student.data(), w.teacher.data(), w.entries())); }};
}

// Registers a benchmark that sets itself up when it runs: setup() answers {yardstick, work}.
template <class Setup>
void add(const std::string& name, const Setup& setup) {
    benchmark::RegisterBenchmark(name.c_str(), [setup](benchmark::State& state) {
        const auto [y, work] = setup();
        measure(state, y, work);
    })->UseManualTime();
}

// Loss and gradient of one objective on the float buffers of a shape.
template <class Objective, class Backend = distill::eigen<>>
void add_gradient(const std::string& name, const Objective& objective, std::size_t rows = many_rows,
                  std::size_t vocabulary = language_model_vocabulary, const Backend& backend = {}) {
    add(name, [=] {
        auto& w = workload<float>::shared(rows, vocabulary);
        const distill::loss f{objective, backend, distill::token_mean{}};
        return std::pair(subtraction(rows, vocabulary),
                         [f, &w] { benchmark::DoNotOptimize(f(w.batch(), w.destination())); });
    });
}

// Each file registers the benchmarks that answer its question.
void add_objectives();
void add_vocabularies();
void add_element_types();
void add_destinations();
void add_rows();
void add_threads();
void add_fusion();
void add_peers();

}  // namespace bench
