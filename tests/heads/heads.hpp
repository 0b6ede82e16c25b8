// Random heads of student and teacher, and what their products are by plain loops in double.
#pragma once

#include <distill/distill.hpp>
#include <distill/head/eigen_product.hpp>
#include <distill/head/through_heads.hpp>

#include <support/comparisons.hpp>
#include <support/random.hpp>
#include <support/rows.hpp>
#include <support/tolerances.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace heads {

using distill_test::engine;
using distill_test::normal;

// Numbers as they are stored.
template <class Element>
std::vector<Element> stored(const std::vector<double>& values) {
    std::vector<Element> result;
    for (const double v : values) {
        if constexpr (sizeof(Element) == 2)
            result.push_back(static_cast<Element>(static_cast<float>(v)));
        else
            result.push_back(static_cast<Element>(v));
    }
    return result;
}
template <class Element>
std::vector<double> widened(const std::vector<Element>& values) {
    std::vector<double> result;
    for (const Element& v : values) {
        if constexpr (sizeof(Element) == 2)
            result.push_back(static_cast<double>(static_cast<float>(v)));
        else
            result.push_back(static_cast<double>(v));
    }
    return result;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
inline bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }
inline bool same_bits(const distill::loss_result& a, const distill::loss_result& b) {
    return same_bits(a.value, b.value) && same_bits(a.denominator, b.denominator) && a.active_rows == b.active_rows &&
           a.nonfinite_rows == b.nonfinite_rows && a.clipped_rows == b.clipped_rows && a.guarded_rows == b.guarded_rows;
}

struct shape {
    std::size_t rows, vocabulary, width, teacher_width;
};

// The numbers of two heads, the logits that follow, and every field of a batch. `fields.student` and `fields.teacher` are
// the logits.
struct problem {
    shape of;
    std::vector<double> hidden, weight, bias, teacher_hidden, teacher_weight;
    distill_test::filled_rows fields;
    std::vector<std::int64_t> sequence_offsets;

    // The logits, of numbers that may have been rounded or changed.
    void multiply() {
        fields.student = logits(hidden, weight, of.width, bias);
        fields.teacher = logits(teacher_hidden, teacher_weight, of.teacher_width, {});
    }

    // The fields beside the logits, in the batch's names.
    template <class Student = float, class Teacher = Student>
    [[nodiscard]] distill::batch<Student, Teacher> batch() const {
        return {.weights = fields.weights,
                .tokens = fields.tokens,
                .teacher_tokens = fields.teacher_tokens,
                .labels = fields.labels,
                .old_log_probs = fields.old_log_probs,
                .teacher_log_probs = fields.teacher_log_probs,
                .advantages = fields.advantages,
                .sequence_offsets = sequence_offsets,
                .sequence_log_ratios = fields.sequence_log_ratios};
    }

private:
    [[nodiscard]] std::vector<double> logits(const std::vector<double>& h, const std::vector<double>& w, std::size_t width,
                                             const std::vector<double>& b) const {
        std::vector<double> z(of.rows * of.vocabulary);
        for (std::size_t i = 0; i < of.rows; ++i)
            for (std::size_t v = 0; v < of.vocabulary; ++v) {
                double sum = b.empty() ? 0.0 : b[v];
                for (std::size_t k = 0; k < width; ++k) sum += h[i * width + k] * w[v * width + k];
                z[i * of.vocabulary + v] = sum;
            }
        return z;
    }
};

// Every fifth row is masked by its weight, every eleventh by its label.
inline problem make_problem(const std::string& label, shape of) {
    auto random = engine(label);
    problem p{.of = of,
              .hidden = normal(random, of.rows * of.width, 1.0),
              .weight = normal(random, of.vocabulary * of.width, 1.5 / std::sqrt(static_cast<double>(of.width))),
              .bias = normal(random, of.vocabulary, 0.5),
              .teacher_hidden = normal(random, of.rows * of.teacher_width, 1.0),
              .teacher_weight =
                  normal(random, of.vocabulary * of.teacher_width, 1.5 / std::sqrt(static_cast<double>(of.teacher_width))),
              .fields = {.rows = of.rows, .vocabulary = of.vocabulary},
              .sequence_offsets = {}};
    p.multiply();
    distill_test::fill_tokens(p.fields, random);
    std::uniform_real_distribution<double> weight(0.5, 2.0);
    for (std::size_t i = 0; i < of.rows; ++i) {
        p.fields.weights[i] = i % 5 == 3 ? 0.0 : weight(random);
        if (i % 11 == 7) p.fields.labels[i] = distill::ignored_label;
    }
    // Sequences of very different lengths, one of them empty.
    p.sequence_offsets = {0, static_cast<std::int64_t>(of.rows / 7), static_cast<std::int64_t>(of.rows / 7),
                          static_cast<std::int64_t>(of.rows / 5), static_cast<std::int64_t>(of.rows)};
    return p;
}

// A problem stored as Element, with room for gradients.
template <class Element, class Sum = distill::detail::logit_of<Element>>
struct stored_problem {
    shape of;
    std::vector<Element> hidden, weight, bias, teacher_hidden, teacher_weight;
    std::vector<Element> hidden_gradient;
    std::vector<Sum> weight_gradient, bias_gradient;

    explicit stored_problem(const problem& p)
        : of(p.of),
          hidden(stored<Element>(p.hidden)),
          weight(stored<Element>(p.weight)),
          bias(stored<Element>(p.bias)),
          teacher_hidden(stored<Element>(p.teacher_hidden)),
          teacher_weight(stored<Element>(p.teacher_weight)),
          hidden_gradient(hidden.size()),
          weight_gradient(weight.size()),
          bias_gradient(bias.size()) {}

    [[nodiscard]] distill::linear_head<Element> student() const {
        return {
            .hidden = {hidden.data(), of.rows, of.width}, .weight = {weight.data(), of.vocabulary, of.width}, .bias = bias};
    }
    [[nodiscard]] distill::linear_head<Element> teacher() const {
        return {.hidden = {teacher_hidden.data(), of.rows, of.teacher_width},
                .weight = {teacher_weight.data(), of.vocabulary, of.teacher_width}};
    }
    [[nodiscard]] distill::head_gradients<Element, Sum> gradients() {
        return {.hidden = {hidden_gradient.data(), of.rows, of.width},
                .weight = {weight_gradient.data(), of.vocabulary, of.width},
                .bias = bias_gradient};
    }
};

// dL/dH, dL/dW and dL/db of a gradient with respect to the logits.
struct plain_gradients {
    std::vector<double> hidden, weight, bias;
};
inline plain_gradients multiplied_back(const problem& p, const std::vector<double>& g) {
    const auto [rows, vocabulary, width, teacher_width] = p.of;
    plain_gradients found{std::vector<double>(rows * width), std::vector<double>(vocabulary * width),
                          std::vector<double>(vocabulary)};
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t v = 0; v < vocabulary; ++v) {
            const double x = g[i * vocabulary + v];
            found.bias[v] += x;
            for (std::size_t k = 0; k < width; ++k) {
                found.hidden[i * width + k] += x * p.weight[v * width + k];
                found.weight[v * width + k] += x * p.hidden[i * width + k];
            }
        }
    return found;
}

// Runs bodies on so many threads.
struct threads {
    int count;

    template <class Body>
    void operator()(std::ptrdiff_t bodies, const Body& body) const {
        std::vector<std::thread> running;
        for (int t = 0; t < count; ++t)
            running.emplace_back([&, t] {
                for (std::ptrdiff_t i = t; i < bodies; i += count) body(i);
            });
        for (std::thread& t : running) t.join();
    }
};

}  // namespace heads
