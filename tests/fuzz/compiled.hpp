// A call of an objective that was compiled elsewhere, without a type of the library: translation units of other flags than
// these can be behind it.
#pragma once

#include <fuzz/oracle.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fuzz {

enum class element { single, wide, half, bfloat };

// What objectives of the tables are made with. Every value is in the domain of whatever reads it.
struct parameters {
    std::array<double, 4> weight{};
    std::array<double, 3> share{};  // in (0, 1)
    double alpha = 0.0, beta = 0.0, head = 0.5, nats = 1.0;
    oracle::temperature own{}, other{};
    double lower = 0.8, upper = 1.2, dual = 3.0, floor = -1.0, ceiling = 1.0, exponent = 1.0;
    std::int64_t seed = 0, first_row = 0;
};

// Numbers of either width, not owned.
template <class Narrow, class Wide>
struct either_width {
    const Narrow* narrow = nullptr;
    const Wide* wide = nullptr;
    std::ptrdiff_t size = 0;

    [[nodiscard]] Wide operator[](std::ptrdiff_t i) const {
        return narrow != nullptr ? static_cast<Wide>(narrow[i]) : wide[i];
    }
    [[nodiscard]] bool given() const { return size > 0; }
    // `count` of them from the i-th on; nothing of nothing.
    [[nodiscard]] either_width from(std::ptrdiff_t i, std::ptrdiff_t count) const {
        if (!given()) return {};
        return {narrow != nullptr ? narrow + i : nullptr, wide != nullptr ? wide + i : nullptr, count};
    }
};
using numbers = either_width<float, double>;
using indices = either_width<std::int32_t, std::int64_t>;

enum class reduction { token_mean, token_sum, sequence_mean, sequence_mean_of_sums, normalized };
enum class executor { serial, backwards, two_threads, pool };
enum class instructions { baseline, avx2, avx512 };

struct request {
    std::ptrdiff_t rows = 0, vocabulary = 0, student_stride = 0, teacher_stride = 0, gradient_stride = 0;
    const void* student = nullptr;
    const void* teacher = nullptr;  // may be absent
    void* gradient = nullptr;
    bool adds = false, zeroes_padding = false;
    double* row_losses = nullptr;
    numbers weights{}, old_log_probs{}, teacher_log_probs{}, advantages{}, temperatures{}, coefficients{}, top_log_probs{},
        sequence_log_ratios{};
    indices tokens{}, teacher_tokens{}, labels{}, sequence_offsets{}, top_tokens{};
    oracle::temperature temperature{};
    double student_cap = 0.0, teacher_cap = 0.0;
    reduction reduced = reduction::token_mean;
    bool denominator_given = false;
    double denominator = 1.0;
    executor runs_on = executor::serial;
    instructions widest = instructions::avx512;
    parameters with{};
};

struct outcome {
    double value = 0.0, denominator = 0.0;
    std::ptrdiff_t active_rows = 0, nonfinite_rows = 0, clipped_rows = 0, guarded_rows = 0;
    bool refused = false;
};

struct compiled {
    const char* name;
    element student, teacher, gradient;
    bool in_double, has_soft_cap, writes_gradient, needs_sequences;
    oracle::objective (*text)(const parameters&);
    outcome (*call)(const request&);
};

// The tables, one for each translation unit.
std::span<const compiled> on_every_instruction_set();
std::span<const compiled> on_the_baseline();
std::span<const compiled> of_element_types();

}  // namespace fuzz
