// Terms that depend on the row as a whole: thresholds, baselines and draws against their definitions in plain loops.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

std::vector<double> exponentials(const std::vector<double>& logs) {
    std::vector<double> result(logs.size());
    std::transform(logs.begin(), logs.end(), result.begin(), [](double x) { return std::exp(x); });
    return result;
}

// w KL(q || p) + (1 - w) KL(p || q), the head found by sorting.
double adaptive_kl_by_sorting(const std::vector<double>& log_p, const std::vector<double>& log_q, double head_mass) {
    const std::vector<double> p = exponentials(log_p), q = exponentials(log_q);
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return q[a] > q[b]; });
    double cumulative = 0.0, of_head = 0.0, of_all = 0.0, forward = 0.0, reverse = 0.0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const std::size_t v = order[i];
        cumulative += q[v];
        of_all += std::abs(q[v] - p[v]);
        if (i == 0 || cumulative <= head_mass) of_head += std::abs(q[v] - p[v]);
        forward += q[v] * (log_q[v] - log_p[v]);
        reverse += p[v] * (log_p[v] - log_q[v]);
    }
    const double w = of_head / of_all;
    return w * forward + (1.0 - w) * reverse;
}

TEST_CASE("adaptive KL weighs the two KLs by the gap on the teacher's head, as sorting finds it") {
    auto random = engine("laws: adaptive KL");
    for (const double scale : {0.1, 1.0, 3.0, 8.0})
        for (const std::size_t vocabulary : {2u, 5u, 100u, 3000u}) {
            const filled_rows in = random_rows(random, 4, vocabulary, scale);
            for (const auto& [name, head_mass] : {std::pair{"adaptive_kl", 0.5}, std::pair{"adaptive_kl 0.9", 0.9}}) {
                const answer found = named(name).on_reference(in, {}), in_float = named(name).on_eigen(in, {});
                for (std::size_t row = 0; row < in.rows; ++row) {
                    CAPTURE(scale);
                    CAPTURE(vocabulary);
                    const double expected = adaptive_kl_by_sorting(log_softmax(in.student_row(row), vocabulary),
                                                                   log_softmax(in.teacher_row(row), vocabulary), head_mass);
                    CHECK(deviation(found.row_losses[row], expected) <= tolerance::rounding);
                    CHECK(deviation(in_float.row_losses[row], expected) <= tolerance::single_loss);
                }
            }
        }
}

TEST_CASE("adaptive KL with all the mass in its head is forward KL") {
    auto random = engine("laws: adaptive KL's limit");
    const filled_rows in = random_rows(random, 3, 50);
    const answer found = evaluate<double>(adaptive_kl{1.0}, reference{}, in, {});
    const answer expected = named("forward_kl").on_reference(in, {});
    CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::rounding);
    CHECK(deviation(found.gradient, expected.gradient) <= tolerance::rounding);
}

TEST_CASE("smoothed cross-entropy has the gradient p less the smoothed target, spread over what is not masked") {
    auto random = engine("laws: label smoothing");
    filled_rows in = random_rows(random, 3, 40);
    std::vector<bool> masked(in.vocabulary, false);
    for (std::size_t v = 0; v < in.vocabulary; v += 3) masked[v] = true;
    for (std::size_t row = 0; row < in.rows; ++row) {
        in.labels[row] = static_cast<std::int64_t>(3 * row + 1);
        for (std::size_t v = 0; v < in.vocabulary; ++v)
            if (masked[v]) in.student_row(row)[v] = minus_infinity;
    }
    constexpr double smoothing = 0.2;
    const double spread = smoothing / static_cast<double>(std::count(masked.begin(), masked.end(), false));
    const answer found = evaluate<double>(smoothed_cross_entropy{smoothing}, reference{}, in, {});
    for (std::size_t row = 0; row < in.rows; ++row) {
        const auto log_p = log_softmax(in.student_row(row), in.vocabulary);
        double loss = 0.0;
        for (std::size_t v = 0; v < in.vocabulary; ++v) {
            const double target =
                masked[v] ? 0.0 : spread + (static_cast<std::size_t>(in.labels[row]) == v ? 1.0 - smoothing : 0.0);
            if (!masked[v]) loss -= target * log_p[v];
            CHECK(deviation(found.gradient[row * in.vocabulary + v], masked[v] ? 0.0 : std::exp(log_p[v]) - target) <=
                  tolerance::rounding);
        }
        CHECK(deviation(found.row_losses[row], loss) <= tolerance::rounding);
    }
}

// The token on which each row's gradient is p - 1.
std::vector<std::size_t> drawn_tokens(const answer& found, std::size_t rows) {
    const std::size_t vocabulary = found.gradient.size() / rows;
    std::vector<std::size_t> tokens(rows);
    for (std::size_t row = 0; row < rows; ++row) {
        const auto begin = found.gradient.begin() + static_cast<std::ptrdiff_t>(row * vocabulary);
        tokens[row] =
            static_cast<std::size_t>(std::min_element(begin, begin + static_cast<std::ptrdiff_t>(vocabulary)) - begin);
    }
    return tokens;
}

filled_rows copies(const filled_rows& one, std::size_t rows) {
    filled_rows in{.rows = rows, .vocabulary = one.vocabulary};
    for (std::size_t row = 0; row < rows; ++row) {
        in.student.insert(in.student.end(), one.student.begin(), one.student.end());
        in.teacher.insert(in.teacher.end(), one.teacher.begin(), one.teacher.end());
    }
    in.weights.assign(rows, 1.0);
    return in;
}

TEST_CASE("the drawn token is the first at which the teacher's cumulative mass has passed the row's uniform number") {
    auto random = engine("laws: drawn token");
    for (const std::size_t vocabulary : {1u, 2u, 9u, 1500u, 4099u}) {
        const filled_rows in = random_rows(random, 12, vocabulary, 2.0);
        const answer on_reference = evaluate<double>(sampled_guidance{11, 5}, reference{}, in, {});
        const answer on_eigen = evaluate<float>(sampled_guidance{11, 5}, eigen{}, in, {});
        for (std::size_t row = 0; row < in.rows; ++row) {
            const auto q = exponentials(log_softmax(in.teacher_row(row), vocabulary));
            const auto log_p = log_softmax(in.student_row(row), vocabulary);
            const double u = uniform_at(11, 5 + row);
            std::size_t token = 0;
            for (double sum = q[0]; token + 1 < vocabulary && sum <= u; sum += q[++token]) {
            }
            CHECK(deviation(on_reference.row_losses[row], -log_p[token]) <= tolerance::rounding);
            CHECK(deviation(on_eigen.row_losses[row], -log_p[token]) <= tolerance::single_loss);
        }
    }
}

TEST_CASE("drawn tokens are distributed as the teacher") {
    auto random = engine("laws: distribution of drawn tokens");
    const filled_rows one = random_rows(random, 1, 7);
    constexpr std::size_t rows = 4000;
    const auto q = exponentials(log_softmax(one.teacher_row(0), 7));
    std::vector<double> counts(7, 0.0);
    for (const std::size_t token :
         drawn_tokens(evaluate<float>(sampled_guidance{2026}, eigen{}, copies(one, rows), {}), rows))
        counts[token] += 1.0;
    for (std::size_t v = 0; v < 7; ++v)  // five standard deviations of a count
        CHECK(std::abs(counts[v] - rows * q[v]) <= 5.0 * std::sqrt(rows * q[v] * (1.0 - q[v])));
}

TEST_CASE("what is drawn depends on the seed and on first_row + row, not on how the batch is split") {
    auto random = engine("laws: split draws");
    const filled_rows in = random_rows(random, 10, 300);
    const answer whole = evaluate<float>(sampled_guidance{3}, eigen{}, in, {});
    filled_rows tail{.rows = 4, .vocabulary = 300};
    tail.student.assign(in.student.begin() + 6 * 300, in.student.end());
    tail.teacher.assign(in.teacher.begin() + 6 * 300, in.teacher.end());
    tail.weights.assign(4, 1.0);
    const answer part = evaluate<float>(sampled_guidance{3, 6}, eigen{}, tail, {});
    CHECK(std::equal(part.row_losses.begin(), part.row_losses.end(), whole.row_losses.begin() + 6));
    CHECK(evaluate<float>(sampled_guidance{4}, eigen{}, in, {}).row_losses != whole.row_losses);
}

}  // namespace
}  // namespace distill_test
