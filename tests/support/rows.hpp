// A batch in double with every field filled, and random ones.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/core/number.hpp>
#include <distill/core/temperature.hpp>

#include <support/random.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

namespace distill_test {

// A masked entry of the vocabulary, made from bits: -ffast-math leaves it alone.
inline const double minus_infinity = std::bit_cast<double>(std::uint64_t{0xfff0000000000000u});

// log softmax(x / T) of one row of `vocabulary` logits.
inline std::vector<double> log_softmax(const double* logits, std::size_t vocabulary, double temperature = 1.0) {
    double maximum = std::numeric_limits<double>::lowest();
    for (std::size_t v = 0; v < vocabulary; ++v) maximum = std::max(maximum, logits[v] / temperature);
    double sum = 0.0;
    for (std::size_t v = 0; v < vocabulary; ++v)
        if (distill::is_finite(logits[v])) sum += std::exp(logits[v] / temperature - maximum);
    std::vector<double> result(vocabulary);
    for (std::size_t v = 0; v < vocabulary; ++v)
        result[v] = distill::is_finite(logits[v]) ? logits[v] / temperature - maximum - std::log(sum) : -1e6;
    return result;
}

struct filled_rows {
    std::size_t rows = 0, vocabulary = 0;
    std::vector<double> student{}, teacher{}, weights{}, old_log_probs{}, teacher_log_probs{}, advantages{},
        sequence_log_ratios{};
    std::vector<std::int64_t> tokens{}, teacher_tokens{}, labels{};

    [[nodiscard]] double* student_row(std::size_t row) { return student.data() + row * vocabulary; }
    [[nodiscard]] double* teacher_row(std::size_t row) { return teacher.data() + row * vocabulary; }
    [[nodiscard]] const double* student_row(std::size_t row) const { return student.data() + row * vocabulary; }
    [[nodiscard]] const double* teacher_row(std::size_t row) const { return teacher.data() + row * vocabulary; }
};

// Fills the fields of token terms to fit the logits. Ratios p(y) / p_old(y) fall in the middle of every branch of the
// surrogates (below 0.8, between, between 1.2 and 1.28, above), never near a bound: no kink within a small step.
inline void fill_tokens(filled_rows& in, std::mt19937& random, const distill::temperature& t = {}) {
    constexpr double log_ratios[] = {-0.45, -0.1, 0.06, 0.215, 0.4, 1.3};
    std::uniform_int_distribution<std::size_t> token(0, in.vocabulary - 1), branch(0, std::size(log_ratios) - 1);
    std::uniform_real_distribution<double> size(0.3, 1.5);
    in.weights.assign(in.rows, 1.0);
    in.tokens.clear(), in.teacher_tokens.clear(), in.labels.clear();
    in.old_log_probs.clear(), in.teacher_log_probs.clear(), in.advantages.clear(), in.sequence_log_ratios.clear();
    for (std::size_t row = 0; row < in.rows; ++row) {
        const auto log_p = log_softmax(in.student_row(row), in.vocabulary, t.student);
        const auto log_q = log_softmax(in.teacher_row(row), in.vocabulary, t.teacher);
        const std::size_t y = token(random);
        in.tokens.push_back(static_cast<std::int64_t>(y));
        in.teacher_tokens.push_back(static_cast<std::int64_t>(token(random)));
        in.labels.push_back(static_cast<std::int64_t>(token(random)));
        in.old_log_probs.push_back(log_p[y] - log_ratios[branch(random)]);
        in.teacher_log_probs.push_back(log_q[y]);
        in.advantages.push_back(row % 2 == 0 ? size(random) : -size(random));
        in.sequence_log_ratios.push_back(log_ratios[branch(random)]);
    }
}

// Independent normal logits on both sides.
inline filled_rows random_rows(std::mt19937& random, std::size_t rows, std::size_t vocabulary, double scale = 1.5,
                               const distill::temperature& t = {}) {
    filled_rows in{.rows = rows,
                   .vocabulary = vocabulary,
                   .student = normal(random, rows * vocabulary, scale),
                   .teacher = normal(random, rows * vocabulary, scale)};
    fill_tokens(in, random, t);
    return in;
}

// The same, with log p and log q at least `gap` apart everywhere: no kink of a distance at p = q within a small step.
inline filled_rows separated_rows(std::mt19937& random, std::size_t rows, std::size_t vocabulary,
                                  const distill::temperature& t = {}, double scale = 1.5, double gap = 0.02) {
    while (true) {
        filled_rows in = random_rows(random, rows, vocabulary, scale, t);
        bool separated = true;
        for (std::size_t row = 0; row < rows; ++row) {
            const auto log_p = log_softmax(in.student_row(row), vocabulary, t.student);
            const auto log_q = log_softmax(in.teacher_row(row), vocabulary, t.teacher);
            for (std::size_t v = 0; v < vocabulary; ++v) separated = separated && std::abs(log_p[v] - log_q[v]) > gap;
        }
        if (separated) return in;
    }
}

// A batch of these logits, stored anywhere, and of the fields that Rows, filled_rows for one, has under the batch's names.
template <class Element, class Rows>
distill::batch<Element> batch_of(const Rows& in, const std::vector<Element>& student, const std::vector<Element>& teacher) {
    return {.student = {student.data(), in.rows, in.vocabulary},
            .teacher = {teacher.data(), in.rows, in.vocabulary},
            .weights = in.weights,
            .tokens = in.tokens,
            .teacher_tokens = in.teacher_tokens,
            .labels = in.labels,
            .old_log_probs = in.old_log_probs,
            .teacher_log_probs = in.teacher_log_probs,
            .advantages = in.advantages,
            .sequence_log_ratios = in.sequence_log_ratios};
}

}  // namespace distill_test
