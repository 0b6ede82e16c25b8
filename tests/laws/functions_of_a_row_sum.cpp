// Losses that are functions of a sum over the row, and those whose weights are such functions: their definitions in plain
// loops of long double, and difference quotients of these.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;
using row = std::vector<long double>;

row probabilities(const std::vector<double>& z) {
    row p(z.size());
    long double sum = 0.0L;
    const double largest = *std::max_element(z.begin(), z.end());
    for (std::size_t v = 0; v < z.size(); ++v) sum += p[v] = std::exp(static_cast<long double>(z[v]) - largest);
    for (long double& x : p) x /= sum;
    return p;
}

long double accepted(const row& p, const row& q) {
    long double sum = 0.0L;
    for (std::size_t v = 0; v < p.size(); ++v) sum += std::min(p[v], q[v]);
    return sum;
}

long double renyi_of(const row& p, const row& q, double a) {
    long double sum = 0.0L;
    for (std::size_t v = 0; v < p.size(); ++v) sum += std::pow(q[v], static_cast<long double>(a)) * std::pow(p[v], 1.0L - a);
    return std::log(sum) / (a - 1.0L);
}

// With the share of forward KL given.
long double mix_of(const row& p, const row& q, long double share) {
    long double forward = 0.0L;
    for (std::size_t v = 0; v < p.size(); ++v) forward += q[v] * std::log(q[v] / p[v]);
    return share * forward + (1.0L - share) * (1.0L - accepted(p, q));
}

using definition = std::function<long double(const row&, const row&)>;

template <class Objective>
void agree(const Objective& objective, const filled_rows& in, const definition& value) {
    const answer found = evaluate<double>(objective, reference{}, in, {});
    const row q = probabilities(in.teacher);
    CHECK(deviation(found.result.value, static_cast<double>(value(probabilities(in.student), q))) <= tolerance::rounding);
    for (std::size_t j = 0; j < in.vocabulary; ++j) {
        const auto at = [&](double step) {
            std::vector<double> moved = in.student;
            moved[j] += step;
            return value(probabilities(moved), q);
        };
        const auto slope = static_cast<double>((8.0L * (at(1e-4) - at(-1e-4)) - (at(2e-4) - at(-2e-4))) / 12e-4L);
        CHECK(deviation(found.gradient[j], slope) <= tolerance::finite_difference);
    }
    CHECK(std::abs(std::accumulate(found.gradient.begin(), found.gradient.end(), 0.0)) <= tolerance::rounding);
}

TEST_CASE("functions of a row's sum: value and gradient") {
    auto random = engine("laws: functions of a row's sum");
    for (const double scale : {0.3, 1.0, 3.0}) {
        CAPTURE(scale);
        const filled_rows in = random_rows(random, 1, 13, scale);
        agree(acceptance{}, in, [](const row& p, const row& q) { return -std::log(accepted(p, q)); });
        for (const double a : {0.1, 0.5, 0.9})
            agree(renyi{a}, in, [a](const row& p, const row& q) { return renyi_of(p, q, a); });
        for (const double eta : {0.0, 3.0}) {
            const long double share = std::exp(-eta * accepted(probabilities(in.student), probabilities(in.teacher)));
            agree(acceptance_mix{eta}, in, [share](const row& p, const row& q) { return mix_of(p, q, share); });
        }
    }
}

template <class Visitor>
void for_each_term(const Visitor& visit) {
    visit("acceptance", acceptance{});
    visit("acceptance_mix", acceptance_mix{});
    visit("renyi", renyi{0.5});
    visit("renyi 0.01", renyi{0.01});
    visit("renyi 0.99", renyi{0.99});
}

TEST_CASE("functions of a row's sum: 0 where student and teacher agree, and finite where they share nothing") {
    auto random = engine("laws: agreement of a row's sum");
    filled_rows same = random_rows(random, 1, 40);
    same.student = same.teacher;
    filled_rows apart{.rows = 1, .vocabulary = 4, .student = {0, 0, -1e30, -1e30}, .teacher = {-1e30, -1e30, 0, 1}};
    for_each_term([&](const char* name, const auto& term) {
        CAPTURE(name);
        const answer none = evaluate<double>(term, reference{}, same, {});
        CHECK(std::abs(none.result.value) <= tolerance::rounding);
        CHECK(deviation(none.gradient, std::vector<double>(40, 0.0)) <= tolerance::rounding);
        for (const answer& far :
             {evaluate<double>(term, reference{}, apart, {}), evaluate<float>(term, eigen{}, apart, {})}) {
            CHECK(std::isfinite(far.result.value));
            CHECK(far.result.value > 0.0);
            for (const double dz : far.gradient) CHECK(std::isfinite(dz));
        }
    });
    CHECK_THROWS_WITH(evaluate<double>(renyi{1.0}, reference{}, same, {}), doctest::Contains("order lies strictly between"));
    CHECK_THROWS_WITH(evaluate<double>(acceptance_mix{-1.0}, reference{}, same, {}), doctest::Contains("eta lies in"));
}

TEST_CASE("functions of a row's sum in float agree with double") {
    auto random = engine("laws: functions of a row's sum in float");
    for (const double distance : {0.1, 1.0}) {
        CAPTURE(distance);
        filled_rows in = random_rows(random, 1, 5000, 2.0);
        const std::vector<double> noise = normal(random, in.student.size(), distance);
        for (std::size_t v = 0; v < in.student.size(); ++v) in.student[v] = in.teacher[v] + noise[v];
        in.student = widened(stored<float>(in.student)), in.teacher = widened(stored<float>(in.teacher));
        for_each_term([&](const char* name, const auto& term) {
            CAPTURE(name);
            const answer expected = evaluate<double>(term, reference{}, in, {}),
                         found = evaluate<float>(term, eigen{}, in, {});
            CHECK(relative_error(found.result.value, expected.result.value) <= 10.0 * tolerance::single_loss);
            CHECK(norm_error(found.gradient, expected.gradient) <= 10.0 * tolerance::single_gradient);
        });
    }
}

}  // namespace
}  // namespace distill_test
