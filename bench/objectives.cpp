// What one call costs per objective: ns per entry, and the ratio to g = z - w over the same buffers in the same run.
//
// V = 151 936, one thread, fp32, rows so that the buffers exceed the caches. The floor is timed before and after every
// objective and their mean is the divisor, since a shared machine's speed drifts.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <distill/distill.hpp>
#include <random>
#include <string>
#include <vector>

#include "floor.hpp"

namespace {

constexpr std::size_t vocabulary = 151936, rows = 64;

struct buffers {
    std::vector<float> student, teacher, gradient;
    std::vector<std::int32_t> tokens, teacher_tokens;
    std::vector<float> advantages, old_log_probs;

    buffers()
        : student(rows * vocabulary),
          teacher(student.size()),
          gradient(student.size()),
          tokens(rows, 5),
          teacher_tokens(rows, 7),
          advantages(rows, 1.0f),
          old_log_probs(rows, -12.0f) {
        std::mt19937 random(20260513);
        std::normal_distribution<float> normal;
        for (std::size_t i = 0; i < student.size(); ++i) {
            student[i] = 3.0f * normal(random);
            teacher[i] = student[i] + 0.3f * normal(random);
        }
    }

    distill::batch<float> batch(bool with_teacher_tokens) const {
        distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                 .teacher = {teacher.data(), rows, vocabulary},
                                 .tokens = tokens,
                                 .old_log_probs = old_log_probs,
                                 .advantages = advantages};
        if (with_teacher_tokens) in.teacher_tokens = teacher_tokens;
        return in;
    }
};

buffers& data() {
    static buffers all;
    return all;
}

template <class Work>
double seconds(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double floor_seconds() {
    return seconds([] {
        subtract(data().student.data(), data().teacher.data(), data().gradient.data(), rows * vocabulary);
        benchmark::ClobberMemory();
    });
}

// Runs `work` once per iteration between two runs of the floor.
template <class Work>
void against_floor(benchmark::State& state, const Work& work) {
    floor_seconds();
    double total = 0.0, floor = 0.0;
    for (auto _ : state) {
        floor += 0.5 * floor_seconds();
        const double elapsed = seconds(work);
        floor += 0.5 * floor_seconds();
        total += elapsed;
        state.SetIterationTime(elapsed);
    }
    const double entries = static_cast<double>(state.iterations()) * static_cast<double>(rows * vocabulary);
    state.counters["ns/entry"] = total / entries * 1e9;
    state.counters["floor_ns"] = floor / entries * 1e9;
    state.counters["x_floor"] = total / floor;
}

template <class Objective>
void add(const std::string& name, const Objective& objective, bool with_teacher_tokens = false,
         distill::instruction_set widest = distill::instruction_set::avx512) {
    const distill::loss f{objective, distill::eigen{widest}, distill::token_mean{}};
    benchmark::RegisterBenchmark((name + "/gradient").c_str(), [=](benchmark::State& state) {
        const auto in = data().batch(with_teacher_tokens);
        against_floor(state, [&] { benchmark::DoNotOptimize(f(in, {data().gradient.data(), rows, vocabulary})); });
    })->UseManualTime();
    benchmark::RegisterBenchmark((name + "/value").c_str(), [=](benchmark::State& state) {
        const auto in = data().batch(with_teacher_tokens);
        against_floor(state, [&] { benchmark::DoNotOptimize(f(in)); });
    })->UseManualTime();
}

}  // namespace

int main(int argc, char** argv) {
    add("forward_kl", distill::forward_kl{});
    add("reverse_kl", distill::reverse_kl{});
    add("jensen_shannon", distill::jensen_shannon{0.5});
    add("three_terms", distill::forward_kl{} + distill::reverse_kl{} + distill::jensen_shannon{0.5});
    add("tgpo_teacher_tokens", distill::tgpo{}, true);
    add("tgpo_argmax", distill::tgpo{});
    add("forward_kl_avx2", distill::forward_kl{}, false, distill::instruction_set::avx2);
    add("forward_kl_baseline", distill::forward_kl{}, false, distill::instruction_set::baseline);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
