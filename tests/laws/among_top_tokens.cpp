// Terms that compare student and teacher on a set of tokens by itself, and reverse KL with a floor outside: their definitions
// in plain loops of long double, and difference quotients of these.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

struct one_row {
    std::vector<double> z;
    std::vector<std::int64_t> tokens;
    std::vector<double> log_probs;
};

// The set holds k tokens and a place without one.
one_row row_of(std::mt19937& random, std::size_t vocabulary, std::size_t k) {
    const filled_rows in = random_rows(random, 1, vocabulary, 2.0);
    one_row row{.z = in.student, .tokens = {}, .log_probs = {}};
    const auto log_q = log_softmax(in.teacher_row(0), vocabulary);
    for (std::size_t i = 0; i < k; ++i) {
        const std::size_t v = (5 * i + 2) % vocabulary;
        row.tokens.push_back(static_cast<std::int64_t>(v));
        row.log_probs.push_back(log_q[v]);
        if (i == 0) row.tokens.push_back(ignored_label), row.log_probs.push_back(0.0);
    }
    return row;
}

std::vector<long double> probabilities(const std::vector<double>& z) {
    std::vector<long double> p(z.size());
    long double sum = 0.0L;
    for (std::size_t v = 0; v < z.size(); ++v) sum += p[v] = std::exp(static_cast<long double>(z[v]));
    for (long double& x : p) x /= sum;
    return p;
}

using definition = std::function<long double(long double, long double)>;

// Both renormalised on the set.
long double among(const one_row& row, const definition& d) {
    const auto p = probabilities(row.z);
    long double student = 0.0L, teacher = 0.0L, value = 0.0L;
    const auto over_set = [&](const auto& body) {
        for (std::size_t i = 0; i < row.tokens.size(); ++i)
            if (row.tokens[i] != ignored_label)
                body(p[static_cast<std::size_t>(row.tokens[i])], std::exp(static_cast<long double>(row.log_probs[i])));
    };
    over_set([&](long double x, long double y) { student += x, teacher += y; });
    over_set([&](long double x, long double y) { value += d(x / student, y / teacher); });
    return value;
}

long double floored(const one_row& row, double floor) {
    const auto p = probabilities(row.z);
    std::vector<long double> l(p.size(), floor);
    for (std::size_t i = 0; i < row.tokens.size(); ++i)
        if (row.tokens[i] != ignored_label) l[static_cast<std::size_t>(row.tokens[i])] = row.log_probs[i];
    long double value = 0.0L;
    for (std::size_t v = 0; v < p.size(); ++v) value += p[v] * (std::log(p[v]) - l[v]);
    return value;
}

struct half {
    static constexpr fields needs = fields::none;
    template <class Row>
    constexpr double operator()(const Row&) const {
        return 0.5;
    }
};

template <class Element = double, class Objective, class Backend = reference>
answer call(const Objective& objective, const one_row& row, const Backend& backend = {}) {
    const filled_rows in{.rows = 1, .vocabulary = row.z.size(), .student = row.z, .teacher = row.z};
    return answer_of<Element>(loss{objective, backend, token_sum{}}, in, [&](batch<Element>& rows) {
        rows.top_tokens = row.tokens;
        rows.top_log_probs = row.log_probs;
    });
}

template <class Objective, class Value>
void agree(const Objective& objective, const one_row& row, const Value& value) {
    const answer found = call(objective, row);
    CHECK(deviation(found.result.value, static_cast<double>(value(row))) <= tolerance::rounding);
    for (std::size_t j = 0; j < row.z.size(); ++j) {
        const auto at = [&](double step) {
            one_row moved = row;
            moved.z[j] += step;
            return value(moved);
        };
        const auto slope = static_cast<double>((8.0L * (at(1e-3) - at(-1e-3)) - (at(2e-3) - at(-2e-3))) / 12e-3L);
        CHECK(deviation(found.gradient[j], slope) <= tolerance::finite_difference);
    }
    CHECK(std::abs(std::accumulate(found.gradient.begin(), found.gradient.end(), 0.0)) <= tolerance::rounding);
}

template <class Visitor>
void for_each_divergence(const Visitor& visit) {
    visit("forward_kl", forward_kl{}, [](long double p, long double q) { return q * std::log(q / p); });
    visit("reverse_kl", reverse_kl{}, [](long double p, long double q) { return p * std::log(p / q); });
    visit("jensen_shannon", jensen_shannon{0.3}, [](long double p, long double q) {
        const long double m = 0.3L * q + 0.7L * p;
        return 0.3L * q * std::log(q / m) + 0.7L * p * std::log(p / m);
    });
    visit("user: value alone", user_jeffreys{}, [](long double p, long double q) { return (p - q) * std::log(p / q); });
}

TEST_CASE("among top tokens: value and gradient are those of the renormalised distributions, and 0 outside") {
    auto random = engine("laws: among top tokens");
    for (int sample = 0; sample < 3; ++sample) {
        const one_row row = row_of(random, 11, 4);
        for_each_divergence([&](const char* name, const auto& d, const definition& formula) {
            CAPTURE(name);
            agree(among_top_tokens{d}, row, [&](const one_row& moved) { return among(moved, formula); });
            const answer found = call(among_top_tokens{d}, row);
            for (std::size_t v = 0; v < row.z.size(); ++v)
                if (std::find(row.tokens.begin(), row.tokens.end(), static_cast<std::int64_t>(v)) == row.tokens.end())
                    CHECK(found.gradient[v] == 0.0);
        });
    }
}

TEST_CASE(
    "among top tokens: a constant in the log-probabilities cancels, one token teaches nothing, forward KL is the blind "
    "form") {
    auto random = engine("laws: renormalised on the set");
    one_row row = row_of(random, 30, 6);
    const answer expected = call(among_top_tokens{reverse_kl{}}, row);
    const answer blind = call(top_forward_kl<truncation::blind_to_mass_outside>{}, row);
    const answer forward = call(among_top_tokens{forward_kl{}}, row);
    CHECK(deviation(forward.gradient, blind.gradient) <= tolerance::rounding);
    CHECK(deviation(forward.row_losses, blind.row_losses) <= tolerance::rounding);
    for (double& log_q : row.log_probs) log_q -= 2.0;
    const answer shifted = call(among_top_tokens{reverse_kl{}}, row);
    CHECK(deviation(shifted.gradient, expected.gradient) <= tolerance::rounding);
    CHECK(deviation(shifted.row_losses, expected.row_losses) <= tolerance::rounding);
    const answer nothing = call(among_top_tokens{jensen_shannon{}}, row_of(random, 30, 1));
    CHECK(std::abs(nothing.result.value) <= tolerance::rounding);
    CHECK(deviation(nothing.gradient, std::vector<double>(30, 0.0)) <= tolerance::rounding);
}

TEST_CASE("among top tokens: behind a gate and beside other terms it is the same") {
    auto random = engine("laws: among top tokens in sums");
    const one_row row = row_of(random, 21, 4);
    const answer alone = call(among_top_tokens{reverse_kl{}}, row), other = call(entropy{}, row);
    const answer gated = call(where(half{}, among_top_tokens{reverse_kl{}}), row);
    const answer sum = call(2.0 * among_top_tokens{reverse_kl{}} - 3.0 * entropy{}, row);
    for (std::size_t v = 0; v < row.z.size(); ++v) {
        CHECK(deviation(gated.gradient[v], 0.5 * alone.gradient[v]) <= tolerance::rounding);
        CHECK(deviation(sum.gradient[v], 2.0 * alone.gradient[v] - 3.0 * other.gradient[v]) <= tolerance::rounding);
    }
}

TEST_CASE("among top tokens: a student without mass on the set, and one without any there, have finite answers") {
    auto random = engine("laws: nothing on the set");
    for (const double less : {30.0, 200.0, 5000.0, 1e30}) {
        CAPTURE(less);
        one_row row = row_of(random, 12, 3);
        for (const std::int64_t token : row.tokens)
            if (token != ignored_label) row.z[static_cast<std::size_t>(token)] -= less;
        for_each_divergence([&](const char* name, const auto& d, const definition&) {
            CAPTURE(name);
            const answer found = call(among_top_tokens{d}, row);
            CHECK(std::isfinite(found.result.value));
            for (const double dz : found.gradient) CHECK(std::abs(dz) <= 1e6);
        });
    }
}

TEST_CASE("reverse KL with a floor outside: value and gradient; with the whole vocabulary in the set it is reverse KL") {
    auto random = engine("laws: floor outside");
    for (const double floor : {-16.0, -3.0, 0.0}) {
        CAPTURE(floor);
        const one_row row = row_of(random, 11, 4);
        agree(floored_reverse_kl{floor}, row, [&](const one_row& moved) { return floored(moved, floor); });
    }
    const filled_rows in = random_rows(random, 1, 11);
    one_row all{.z = in.student, .tokens = std::vector<std::int64_t>(11), .log_probs = log_softmax(in.teacher_row(0), 11)};
    std::iota(all.tokens.begin(), all.tokens.end(), std::int64_t{0});
    const answer found = call(floored_reverse_kl{-5.0}, all);
    const answer reverse = evaluate<double>(reverse_kl{}, reference{}, in, {});
    CHECK(deviation(found.gradient, reverse.gradient) <= tolerance::rounding);
    // The rest counts as 1e-7 where there is none.
    CHECK(std::abs(found.result.value - reverse.result.value) <= 5.1 * smallest_outside);
    CHECK_THROWS_WITH(call(floored_reverse_kl{0.5}, all), doctest::Contains("floor lies in [-1e6, 0]"));
}

TEST_CASE("sets by themselves in float agree with double") {
    auto random = engine("laws: sets by themselves in float");
    one_row row = row_of(random, 5000, 100);
    row.z = widened(stored<float>(row.z));
    for (int chosen = 0; chosen < 2; ++chosen) {
        const double a = chosen == 0 ? 1.0 : 0.0;
        const auto term = a * among_top_tokens{reverse_kl{}} + (1.0 - a) * as_objective(floored_reverse_kl{});
        const answer expected = call(term, row), found = call<float>(term, row, eigen{});
        CHECK(deviation(found.result.value, expected.result.value) <= tolerance::single_loss);
        CHECK(norm_error(found.gradient, expected.gradient) <= tolerance::single_gradient);
    }
}

}  // namespace
}  // namespace distill_test
