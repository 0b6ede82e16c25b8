// A row's diagnosis against its definitions in plain loops, on every backend, alone and beside a gradient.
#include <conformance/example.hpp>

#include <distill/distill.hpp>
#include <support/comparisons.hpp>
#include <support/rows.hpp>
#include <support/tolerances.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace conformance {
namespace {

using namespace distill;
using distill_test::deviation;
namespace tolerance = distill_test::tolerance;

std::vector<double> log_softmax_of(std::span<const float> row, double t) {
    const std::vector<double> wide(row.begin(), row.end());
    return distill_test::log_softmax(wide.data(), wide.size(), t);
}

std::vector<std::size_t> ranking(const std::vector<double>& log_probs) {
    std::vector<std::size_t> order(log_probs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return log_probs[a] != log_probs[b] ? log_probs[a] > log_probs[b] : a < b;
    });
    return order;
}

row_diagnosis plainly(const example& e, std::ptrdiff_t row, const temperature& t) {
    const auto log_p = log_softmax_of(e.student.row(row), t.student), log_q = log_softmax_of(e.teacher.row(row), t.teacher);
    row_diagnosis d;
    d.state = row_state::diagnosed;
    for (std::size_t v = 0; v < log_p.size(); ++v) {
        const double p = std::exp(log_p[v]), q = std::exp(log_q[v]), log_m = std::log(0.5 * (p + q));
        d.forward_kl += q * (log_q[v] - log_p[v]);
        d.reverse_kl += p * (log_p[v] - log_q[v]);
        d.jensen_shannon += 0.5 * (p * (log_p[v] - log_m) + q * (log_q[v] - log_m));
        d.total_variation += 0.5 * std::abs(p - q);
        d.student_entropy -= p * log_p[v];
        d.teacher_entropy -= q * log_q[v];
    }
    const auto of_student = ranking(log_p), of_teacher = ranking(log_q);
    d.student_top = static_cast<std::int64_t>(of_student[0]);
    d.teacher_top = static_cast<std::int64_t>(of_teacher[0]);
    d.teacher_top_log_p = log_p[of_teacher[0]];
    const auto y = static_cast<std::size_t>(e.tokens[static_cast<std::size_t>(row)]);
    d.has_token = true;
    d.token = static_cast<std::int64_t>(y);
    d.token_log_p = log_p[y];
    d.token_log_q = log_q[y];
    for (std::size_t n = 0; n < d.top_overlap.size(); ++n) {
        const auto k =
            static_cast<std::ptrdiff_t>(std::min(static_cast<std::size_t>(row_diagnosis::overlap_sizes[n]), log_p.size()));
        for (auto v = of_teacher.begin(); v != of_teacher.begin() + k; ++v)
            d.top_overlap[n] += static_cast<double>(std::count(of_student.begin(), of_student.begin() + k, *v));
        d.top_overlap[n] /= static_cast<double>(k);
    }
    for (std::size_t n = 0; n < d.teacher_mass.size(); ++n)
        for (std::size_t i = 0; i < std::min(static_cast<std::size_t>(row_diagnosis::mass_sizes[n]), log_p.size()); ++i)
            d.teacher_mass[n] += std::exp(log_q[of_teacher[i]]);
    return d;
}

void agree(const row_diagnosis& found, const row_diagnosis& expected, double allowed) {
    CHECK(found.state == expected.state);
    CHECK(deviation(found.forward_kl, expected.forward_kl) <= allowed);
    CHECK(deviation(found.reverse_kl, expected.reverse_kl) <= allowed);
    CHECK(deviation(found.jensen_shannon, expected.jensen_shannon) <= allowed);
    CHECK(deviation(found.total_variation, expected.total_variation) <= allowed);
    CHECK(deviation(found.student_entropy, expected.student_entropy) <= allowed);
    CHECK(deviation(found.teacher_entropy, expected.teacher_entropy) <= allowed);
    CHECK(found.student_top == expected.student_top);
    CHECK(found.teacher_top == expected.teacher_top);
    CHECK(deviation(found.teacher_top_log_p, expected.teacher_top_log_p) <= allowed);
    CHECK(found.has_token == expected.has_token);
    CHECK(found.token == expected.token);
    CHECK(deviation(found.token_log_p, expected.token_log_p) <= allowed);
    CHECK(deviation(found.token_log_q, expected.token_log_q) <= allowed);
    CHECK(found.top_overlap == expected.top_overlap);
    for (std::size_t n = 0; n < found.teacher_mass.size(); ++n)
        CHECK(deviation(found.teacher_mass[n], expected.teacher_mass[n]) <= allowed);
}

template <class Test>
void on_each_backend(const Test& test) {
    test(reference{}, tolerance::rounding);
    test(eigen{}, tolerance::single_loss);
}

bool same(const row_diagnosis& a, const row_diagnosis& b) {
    return a.state == b.state && a.forward_kl == b.forward_kl && a.jensen_shannon == b.jensen_shannon &&
           a.token_log_q == b.token_log_q && a.teacher_mass == b.teacher_mass && a.top_overlap == b.top_overlap;
}

}  // namespace

TEST_CASE("a diagnosis is what plain loops find, at any size of vocabulary, with ties and temperatures") {
    on_each_backend([](const auto& backend, double allowed) {
        for (const std::ptrdiff_t vocabulary : {1, 4, 40, 3000})
            for (const temperature& t : {temperature{}, temperature{2.0, 0.5}}) {
                example e = make_example("diagnosis " + std::to_string(vocabulary), 3, vocabulary, {1, 2});
                for (float& z : e.teacher.row(1)) z = std::round(z);  // ties
                for (float& z : e.student.row(1)) z = std::round(z);
                std::vector<row_diagnosis> found(3);
                diagnose(e.batch(), backend, std::span(found), t);
                for (std::ptrdiff_t row = 0; row < 3; ++row)
                    agree(found[static_cast<std::size_t>(row)], plainly(e, row, t), allowed);
            }
    });
}

TEST_CASE("masked rows are not read, rows that are not finite are marked, and neither disturbs another") {
    on_each_backend([](const auto& backend, double) {
        example e = make_example("diagnosis of bad rows", 4, 50);
        std::vector<row_diagnosis> expected(4), found(4);
        diagnose(e.batch(), backend, std::span(expected));
        std::ranges::fill(e.student.row(1), positive_nan);
        const auto mask_row = [&](bool by_label) {
            e.weights[1] = by_label ? 1.0 : 0.0;
            e.labels[1] = by_label ? ignored_label : 3;
            std::ranges::fill(found, expected[0]);
            diagnose(e.batch(), backend, std::span(found));
            CHECK(found[1].state == row_state::masked);
        };
        e.tokens[1] = 999;
        e.teacher.at(2, 7) = positive_nan;
        mask_row(true);
        mask_row(false);
        CHECK(found[2].state == row_state::nonfinite);
        CHECK(same(found[0], expected[0]));
        CHECK(same(found[3], expected[3]));
        const diagnosis d = summarize(found);
        CHECK(d.rows == 2);
        CHECK(d.nonfinite_rows == 1);
        CHECK(d.rows_with_token == 2);
    });
}

TEST_CASE("beside a loss, diagnosis, loss and gradient are bit for bit those of separate calls, in place too") {
    on_each_backend([](const auto& backend, double) {
        example e = make_example("diagnosis beside a loss", 300, 33);
        const loss f{reverse_kl{} + 0.1 * cross_entropy{}, backend, token_mean{}, temperature{1.5}};
        std::vector<row_diagnosis> expected(300), found(300);
        diagnose(e.batch(), backend, std::span(expected), temperature{1.5});
        matrix gradient = matrix::filled(300, 33, 0, sentinel);
        const auto result = f(e.batch(), gradient.view());
        CHECK(same_bits(diagnose(f, e.batch(), e.student.view(), std::span(found)), result));
        CHECK(same_bits(e.student.memory, gradient.memory));
        CHECK(std::equal(found.begin(), found.end(), expected.begin(), same));
    });
}

namespace {

// Counts how often a sequence's weight is summed: once for each time that its factor is asked for.
struct counting_mean {
    static constexpr bool needs_sequences = true;
    static inline std::ptrdiff_t sums = 0;

    double sequence_factor(double weight) const {
        ++sums;
        return 1.0 / weight;
    }
    double denominator(const distill::row_totals& totals) const { return static_cast<double>(totals.active_sequences); }
};

}  // namespace

TEST_CASE("a sequence's weight is summed once for each block of its rows, beside a diagnosis too") {
    const std::ptrdiff_t rows = 4 * distill::call::max_blocks, vocabulary = 3;
    const std::vector<float> logits(static_cast<std::size_t>(rows * vocabulary), 1.0f);
    std::vector<float> gradient(logits.size());
    std::vector<distill::row_diagnosis> found(static_cast<std::size_t>(rows));
    const std::vector<std::int64_t> offsets{0, rows};
    const distill::batch<float> in{.student = {logits.data(), rows, vocabulary},
                                   .teacher = {logits.data(), rows, vocabulary},
                                   .sequence_offsets = offsets};
    const distill::loss f{distill::forward_kl{}, distill::eigen{}, counting_mean{}};
    counting_mean::sums = 0;
    f(in, {gradient.data(), rows, vocabulary});
    CHECK(counting_mean::sums == distill::call::max_blocks);
    counting_mean::sums = 0;
    distill::diagnose(f, in, {gradient.data(), rows, vocabulary}, std::span(found));
    CHECK(counting_mean::sums == distill::call::max_blocks);
}

TEST_CASE("a batch without tokens has no statistics of tokens") {
    example e = make_example("diagnosis without tokens", 3, 20);
    auto in = e.batch();
    in.tokens = {};
    std::vector<row_diagnosis> rows(3);
    diagnose(in, eigen{}, std::span(rows));
    const diagnosis d = summarize(rows);
    CHECK(!rows[0].has_token);
    CHECK(d.rows == 3);
    CHECK(d.rows_with_token == 0);
    CHECK(is_nan(d.log_ratio.mean));
    CHECK(is_nan(d.teacher_perplexity));
    CHECK(distill::is_finite(d.forward_kl.mean));
}

TEST_CASE("what cannot be diagnosed is refused, and nothing is written") {
    example e = make_example("diagnosis refused", 3, 20);
    std::vector<row_diagnosis> rows(3, row_diagnosis{.state = row_state::nonfinite});
    const auto refusal = [&](const batch<float>& in, std::size_t size, temperature t = {}) -> std::string {
        try {
            diagnose(in, eigen{}, std::span(rows).first(size), t);
        } catch (const invalid_input& error) {
            return error.what();
        }
        return "accepted";
    };
    auto in = e.batch();
    CHECK(refusal(in, 2) == "distill: rows has 2 elements, batch.student has 3 rows");
    CHECK(refusal(in, 3, temperature{0.0}) == "distill: temperature is 0, expected a finite number in [1e-4, 1e4]");
    in.teacher = {};
    CHECK(refusal(in, 3) == "distill: diagnose needs batch.teacher, which is empty");
    e.tokens[2] = 20;
    CHECK(refusal(e.batch(), 3) == "distill: batch.tokens[2] is 20, expected a token id in [0, 20)");
    CHECK(rows[0].state == row_state::nonfinite);
}

}  // namespace conformance
