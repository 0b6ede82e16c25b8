// A batch of float logits that owns its memory, what a call answers on it, and comparisons by bits.
#pragma once

#include <conformance/losses.hpp>
#include <support/bits.hpp>
#include <support/random.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace conformance {

using distill::is_finite;
using distill::is_nan;
using distill_test::float_of;

inline const float minus_infinity = float_of(0xff800000u);
inline const float plus_infinity = float_of(0x7f800000u);
inline const float positive_nan = float_of(0x7fc00000u);
inline const float negative_nan = float_of(0xffc00000u);
// What no computation writes.
inline const float sentinel = float_of(0x7fc0beefu);

template <class Range>
bool all_nan(const Range& values) {
    return std::all_of(values.begin(), values.end(), [](const auto& x) { return is_nan(x); });
}
template <class Range>
bool all_finite(const Range& values) {
    return std::all_of(values.begin(), values.end(), [](const auto& x) { return is_finite(x); });
}
// +0 in every bit.
template <class Range>
bool all_zero(const Range& values) {
    return std::all_of(values.begin(), values.end(), [](auto x) {
        const decltype(x) zero{};
        return std::memcmp(&x, &zero, sizeof x) == 0;
    });
}

template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return same_bits(std::span<const T>(a), std::span<const T>(b));
}
inline bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

// A matrix of floats with padding columns full of sentinels.
struct matrix {
    std::ptrdiff_t rows = 0, vocabulary = 0, stride = 0;
    std::vector<float> memory{};

    static matrix filled(std::ptrdiff_t rows, std::ptrdiff_t vocabulary, std::ptrdiff_t padding, float value) {
        matrix m{rows, vocabulary, vocabulary + padding,
                 std::vector<float>(static_cast<std::size_t>(rows * (vocabulary + padding)), sentinel)};
        for (std::ptrdiff_t r = 0; r < rows; ++r) std::ranges::fill(m.row(r), value);
        return m;
    }

    [[nodiscard]] std::span<float> row(std::ptrdiff_t r) {
        return {memory.data() + r * stride, static_cast<std::size_t>(vocabulary)};
    }
    [[nodiscard]] std::span<const float> row(std::ptrdiff_t r) const {
        return {memory.data() + r * stride, static_cast<std::size_t>(vocabulary)};
    }
    [[nodiscard]] std::span<const float> padding(std::ptrdiff_t r) const {
        return {memory.data() + r * stride + vocabulary, static_cast<std::size_t>(stride - vocabulary)};
    }
    [[nodiscard]] float& at(std::ptrdiff_t r, std::ptrdiff_t v) { return memory[static_cast<std::size_t>(r * stride + v)]; }
    [[nodiscard]] float at(std::ptrdiff_t r, std::ptrdiff_t v) const {
        return memory[static_cast<std::size_t>(r * stride + v)];
    }
    [[nodiscard]] distill::logits_view<float> view() { return {memory.data(), rows, vocabulary, stride}; }
    [[nodiscard]] distill::logits_view<const float> view() const { return {memory.data(), rows, vocabulary, stride}; }
};

inline bool padding_is_untouched(const matrix& m) {
    for (std::ptrdiff_t r = 0; r < m.rows; ++r)
        for (const float x : m.padding(r))
            if (std::bit_cast<std::uint32_t>(x) != std::bit_cast<std::uint32_t>(sentinel)) return false;
    return true;
}

// Inputs of every field. Weights are all 1.
struct example {
    matrix student, teacher;
    std::vector<double> weights, old_log_probs, teacher_log_probs, advantages;
    std::vector<std::int64_t> tokens, teacher_tokens, labels;

    [[nodiscard]] std::ptrdiff_t rows() const { return student.rows; }
    [[nodiscard]] std::ptrdiff_t vocabulary() const { return student.vocabulary; }

    [[nodiscard]] distill::batch<float> batch() const {
        return {.student = student.view(),
                .teacher = teacher.view(),
                .weights = weights,
                .tokens = tokens,
                .teacher_tokens = teacher_tokens,
                .labels = labels,
                .old_log_probs = old_log_probs,
                .teacher_log_probs = teacher_log_probs,
                .advantages = advantages};
    }
};

struct padding {
    std::ptrdiff_t student = 0, teacher = 0;
};

inline example make_example(const std::string& label, std::ptrdiff_t rows, std::ptrdiff_t vocabulary, padding p = {},
                            double scale = 1.5) {
    auto random = distill_test::engine(label);
    const auto count = static_cast<std::size_t>(rows);
    example e{.student = matrix::filled(rows, vocabulary, p.student, 0.0f),
              .teacher = matrix::filled(rows, vocabulary, p.teacher, 0.0f),
              .weights = std::vector<double>(count, 1.0),
              .old_log_probs = std::vector<double>(count),
              .teacher_log_probs = std::vector<double>(count),
              .advantages = distill_test::normal(random, count, 1.0),
              .tokens = std::vector<std::int64_t>(count),
              .teacher_tokens = std::vector<std::int64_t>(count),
              .labels = std::vector<std::int64_t>(count)};
    std::normal_distribution<float> logit(0.0f, static_cast<float>(scale));
    std::uniform_int_distribution<std::int64_t> token(0, vocabulary - 1);
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        for (float& x : e.student.row(r)) x = logit(random);
        for (float& x : e.teacher.row(r)) x = logit(random);
        const auto i = static_cast<std::size_t>(r);
        e.tokens[i] = token(random);
        e.teacher_tokens[i] = token(random);
        e.labels[i] = token(random);
        e.old_log_probs[i] = -std::log(static_cast<double>(vocabulary));
        e.teacher_log_probs[i] = e.old_log_probs[i];
    }
    return e;
}

// Everything one call writes.
struct outcome {
    distill::loss_result result;
    std::vector<double> row_losses;
    matrix gradient;
};

inline outcome run(const any_loss& f, const distill::batch<float>& in, std::ptrdiff_t gradient_padding = 0) {
    outcome found{.result = {},
                  .row_losses = std::vector<double>(static_cast<std::size_t>(in.student.rows), double{sentinel}),
                  .gradient = matrix::filled(in.student.rows, in.student.vocabulary, gradient_padding, sentinel)};
    found.result = f.per_token(in, std::span(found.row_losses), found.gradient.view());
    return found;
}
inline outcome run(objective o, const backend& on, const example& e) { return run(*make_loss(o, on), e.batch()); }

inline bool same_row(const outcome& a, const outcome& b, std::ptrdiff_t row) {
    const auto i = static_cast<std::size_t>(row);
    return same_bits(a.row_losses[i], b.row_losses[i]) && same_bits(a.gradient.row(row), b.gradient.row(row));
}

inline bool same_bits(const distill::loss_result& a, const distill::loss_result& b) {
    return same_bits(a.value, b.value) && same_bits(a.denominator, b.denominator) && a.active_rows == b.active_rows &&
           a.nonfinite_rows == b.nonfinite_rows && a.clipped_rows == b.clipped_rows && a.guarded_rows == b.guarded_rows;
}
inline bool same_bits(const outcome& a, const outcome& b) {
    return same_bits(a.result, b.result) && same_bits(a.row_losses, b.row_losses) &&
           same_bits(a.gradient.memory, b.gradient.memory);
}

}  // namespace conformance
