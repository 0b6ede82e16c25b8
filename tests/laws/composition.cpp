// Sums, coefficients, temperatures of their own, and the limits in which one divergence becomes another.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

namespace distill_test {
namespace {

using namespace distill;

std::vector<double> combined(double a, const std::vector<double>& x, double b, const std::vector<double>& y) {
    std::vector<double> result(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) result[i] = a * x[i] + b * y[i];
    return result;
}

template <class Objective>
answer on_reference(const Objective& objective, const filled_rows& in, const temperature& t = {}) {
    return evaluate<double>(objective, reference{}, in, t);
}

// a x + b y, where x and y are sums over the same types of term; nothing where both have a term of one type, with
// parameters that may differ.
template <class Objective>
std::optional<Objective> sum_in_one_type(double a, const Objective& x, double b, const Objective& y) {
    Objective sum = a * x;
    bool fits = true;
    const auto add = [&]<class Term>(weighted<Term>& mine, const weighted<Term>& theirs) {
        if (theirs.weight == 0.0) return;
        fits = fits && mine.weight == 0.0;
        mine = {b * theirs.weight, theirs.value};
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (add(std::get<I>(std::get<0>(sum.groups).terms), std::get<I>(std::get<0>(y.groups).terms)), ...);
    }(std::make_index_sequence<std::tuple_size_v<std::decay_t<decltype(std::get<0>(sum.groups).terms)>>>{});
    return fits ? std::optional(sum) : std::nullopt;
}

TEST_CASE("a coefficient scales the loss and the gradient") {
    auto random = engine("laws: coefficient");
    const filled_rows in = random_rows(random, 3, 23);
    for (const subject& s : subjects()) {
        CAPTURE(s.name);
        const answer one = s.on_reference(in, {});
        for (const double coefficient : {0.25, -1.5, 0.0}) {
            const answer found = s.on_reference(in, {.coefficient = coefficient});
            CHECK(deviation(found.row_losses, combined(coefficient, one.row_losses, 0.0, one.row_losses)) <=
                  tolerance::rounding);
            CHECK(deviation(found.gradient, combined(coefficient, one.gradient, 0.0, one.gradient)) <= tolerance::rounding);
        }
    }
}

TEST_CASE("0.7 a + 0.3 b in one call is 0.7 times one call plus 0.3 times another, for every pair of terms") {
    auto random = engine("laws: linearity");
    const filled_rows in = random_rows(random, 4, 23, 1.5, temperature(2.0, 0.7));
    const setting s{.temperature = temperature(2.0, 0.7)};
    // Every type of term stands in one sum, whose coefficients choose the pair: one row program for all pairs.
    const auto all = catalogue();
    using sum_of_all = decltype(as_sum_of_all(forward_kl{}, all));
    std::vector<sum_of_all> single;
    for_each_listed(all, [&](const auto& entry) { single.push_back(as_sum_of_all(entry.objective, all)); });
    std::size_t pairs = 0;
    for (std::size_t i = 0; i < single.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const auto pair = sum_in_one_type(0.7, single[i], 0.3, single[j]);
            if (!pair) continue;
            ++pairs;
            CAPTURE(subjects()[i].name);
            CAPTURE(subjects()[j].name);
            const answer together = on_reference(*pair, in, s.temperature);
            const answer x = subjects()[i].on_reference(in, s), y = subjects()[j].on_reference(in, s);
            CHECK(deviation(together.row_losses, combined(0.7, x.row_losses, 0.3, y.row_losses)) <= tolerance::rounding);
            CHECK(deviation(together.gradient, combined(0.7, x.gradient, 0.3, y.gradient)) <= tolerance::rounding);
        }
    CHECK(pairs >= single.size() * single.size() / 3);
}

TEST_CASE("a sum as a user writes it is linear too, sums of sums and scaled sums included") {
    auto random = engine("laws: sums of sums");
    const filled_rows in = random_rows(random, 3, 31);
    const answer forward = named("forward_kl").on_reference(in, {}),
                 surrogate = named("clipped_surrogate").on_reference(in, {}), bonus = named("entropy").on_reference(in, {}),
                 jeffreys = named("user: value alone").on_reference(in, {});
    const auto inner = 0.5 * forward_kl{} + user_jeffreys{};
    const answer found = on_reference(2.0 * (inner + -0.001 * entropy{}) + clipped_surrogate{} * 0.25, in);
    CHECK(deviation(found.gradient, combined(1.0, combined(1.0, forward.gradient, 2.0, jeffreys.gradient), 1.0,
                                             combined(-0.002, bonus.gradient, 0.25, surrogate.gradient))) <=
          tolerance::rounding);
    CHECK(deviation(found.row_losses, combined(1.0, combined(1.0, forward.row_losses, 2.0, jeffreys.row_losses), 1.0,
                                               combined(-0.002, bonus.row_losses, 0.25, surrogate.row_losses))) <=
          tolerance::rounding);
}

TEST_CASE("a difference is one call minus another, a quotient one call over the number") {
    auto random = engine("laws: differences");
    const filled_rows in = random_rows(random, 3, 31);
    const answer forward = on_reference(forward_kl{}, in), bonus = on_reference(entropy{}, in);
    const auto holds = [&](const answer& found, double a, double b) {
        CHECK(deviation(found.gradient, combined(a, forward.gradient, b, bonus.gradient)) <= tolerance::rounding);
        CHECK(deviation(found.row_losses, combined(a, forward.row_losses, b, bonus.row_losses)) <= tolerance::rounding);
    };
    holds(on_reference(forward_kl{} - 0.5 * entropy{}, in), 1.0, -0.5);
    holds(on_reference(-(forward_kl{} - entropy{}), in), -1.0, 1.0);
    holds(on_reference((forward_kl{} + 2.0 * entropy{}) / 3.0, in), 1.0 / 3.0, 2.0 / 3.0);
}

TEST_CASE("terms at temperatures of their own in one call are one call per temperature") {
    auto random = engine("laws: temperatures of their own");
    const temperature hard(1.0), soft(3.0), split(0.7, 2.0);
    const filled_rows in = random_rows(random, 4, 31, 2.0);

    // Hinton's mix.
    const answer mixed = on_reference(
        at_temperature(hard, 0.4 * cross_entropy{}) + at_temperature(soft, 0.6 * 3.0 * 3.0 * forward_kl{}), in, split);
    const answer of_labels = named("cross_entropy").on_reference(in, {.temperature = hard}),
                 of_teacher = named("forward_kl").on_reference(in, {.temperature = soft});
    CHECK(deviation(mixed.row_losses, combined(0.4, of_labels.row_losses, 5.4, of_teacher.row_losses)) <=
          tolerance::rounding);
    CHECK(deviation(mixed.gradient, combined(0.4, of_labels.gradient, 5.4, of_teacher.gradient)) <= tolerance::rounding);

    // Terms without a temperature take the loss's.
    const answer inherited = on_reference(0.4 * reverse_kl{} + at_temperature(split, 3.0 * jensen_shannon{0.1}), in, soft);
    const answer own = named("jensen_shannon 0.1").on_reference(in, {.temperature = split}),
                 rest = named("reverse_kl").on_reference(in, {.temperature = soft});
    CHECK(deviation(inherited.row_losses, combined(0.4, rest.row_losses, 3.0, own.row_losses)) <= tolerance::rounding);
    CHECK(deviation(inherited.gradient, combined(0.4, rest.gradient, 3.0, own.gradient)) <= tolerance::rounding);

    // On the SIMD backend the same, to fp32.
    const auto hinton = at_temperature(hard, 0.4 * cross_entropy{}) + at_temperature(soft, 5.4 * forward_kl{});
    CHECK(norm_error(evaluate<float>(hinton, eigen{}, in, split).gradient, mixed.gradient) <= tolerance::single_gradient);
}

TEST_CASE("a temperature divides the logits and nothing else: no hidden square") {
    auto random = engine("laws: temperature");
    const temperature t(2.0, 0.7);
    const filled_rows in = random_rows(random, 3, 31, 1.5, t);
    filled_rows divided = in;
    for (double& x : divided.student) x /= t.student;
    for (double& x : divided.teacher) x /= t.teacher;
    for (const subject& s : subjects()) {
        CAPTURE(s.name);
        const answer found = s.on_reference(in, {.temperature = t}), expected = s.on_reference(divided, {});
        CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::rounding);
        CHECK(deviation(found.gradient, combined(1.0 / t.student, expected.gradient, 0.0, expected.gradient)) <=
              tolerance::rounding);
    }
}

TEST_CASE("JSD_b / b tends to forward KL as b tends to 0, JSD_b / (1 - b) to reverse KL as b tends to 1") {
    auto random = engine("laws: limits");
    const filled_rows in = random_rows(random, 3, 13, 1.0);
    const answer forward = named("forward_kl").on_reference(in, {}), reverse = named("reverse_kl").on_reference(in, {});
    constexpr double small = 1e-6;
    const answer low = on_reference((1.0 / small) * jensen_shannon{small}, in);
    CHECK(deviation(low.row_losses, forward.row_losses) <= tolerance::limit);
    CHECK(deviation(low.gradient, forward.gradient) <= tolerance::limit);
    const answer high = on_reference((1.0 / small) * jensen_shannon{1.0 - small}, in);
    CHECK(deviation(high.row_losses, reverse.row_losses) <= tolerance::limit);
    CHECK(deviation(high.gradient, reverse.gradient) <= tolerance::limit);
}

TEST_CASE("the skew divergences tend to forward and reverse KL as the skew tends to 0") {
    auto random = engine("laws: skew");
    const filled_rows in = random_rows(random, 3, 13, 1.0);
    constexpr double small = 1e-6;
    const auto near = [](const answer& found, const answer& expected) {
        CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::limit);
        CHECK(deviation(found.gradient, expected.gradient) <= tolerance::limit);
    };
    near(on_reference(skew_forward_kl{small}, in), named("forward_kl").on_reference(in, {}));
    near(on_reference(skew_reverse_kl{small}, in), named("reverse_kl").on_reference(in, {}));
}

TEST_CASE("the alpha-beta divergence is forward KL at (1, 0), reverse KL at (0, 1), and continuous at both and at (0, 0)") {
    auto random = engine("laws: alpha-beta");
    const filled_rows in = random_rows(random, 3, 13, 1.0);
    const auto within = [](double bound, const answer& found, const answer& expected) {
        CHECK(deviation(found.row_losses, expected.row_losses) <= bound);
        CHECK(deviation(found.gradient, expected.gradient) <= bound);
    };
    const answer forward = named("forward_kl").on_reference(in, {}), reverse = named("reverse_kl").on_reference(in, {});
    within(tolerance::rounding, named("alpha_beta 1 0").on_reference(in, {}), forward);
    within(tolerance::rounding, named("alpha_beta 0 1").on_reference(in, {}), reverse);
    constexpr double small = 1e-6;
    within(tolerance::limit, on_reference(alpha_beta{1.0, small}, in), forward);
    within(tolerance::limit, on_reference(alpha_beta{small, 1.0}, in), reverse);
    within(tolerance::limit, on_reference(alpha_beta{small, small}, in), on_reference(alpha_beta{0.0, 0.0}, in));
}

TEST_CASE("exchanging student and teacher exchanges forward and reverse KL, and b and 1 - b") {
    auto random = engine("laws: exchange");
    const filled_rows in = random_rows(random, 3, 29);
    filled_rows exchanged = in;
    std::swap(exchanged.student, exchanged.teacher);
    const auto same = [&](std::string_view a, std::string_view b) {
        CAPTURE(a);
        CHECK(deviation(named(a).on_reference(in, {}).row_losses, named(b).on_reference(exchanged, {}).row_losses) <=
              tolerance::rounding);
    };
    same("forward_kl", "reverse_kl");
    same("jensen_shannon 0.1", "jensen_shannon 0.9");
    same("jensen_shannon 0.5", "jensen_shannon 0.5");
    same("total_variation", "total_variation");
    same("squared_hellinger", "squared_hellinger");
    same("skew_forward_kl", "skew_reverse_kl");
    same("skew_forward_kl 0.6", "skew_reverse_kl 0.6");
    same("alpha_beta 1 0", "alpha_beta 0 1");
}

TEST_CASE("bounded divergences keep their bounds on disjoint distributions") {
    auto random = engine("laws: bounds");
    filled_rows in = random_rows(random, 2, 20, 1.0);
    for (std::size_t i = 0; i < in.student.size(); ++i) (i % 2 == 0 ? in.student : in.teacher)[i] -= 600.0;
    const auto bound = [](double b) { return -b * std::log(b) - (1.0 - b) * std::log(1.0 - b); };
    const auto reaches = [&](std::string_view name, double expected) {
        CAPTURE(name);
        for (const double row_loss : named(name).on_reference(in, {}).row_losses)
            CHECK(deviation(row_loss, expected) <= tolerance::rounding);
    };
    reaches("total_variation", 1.0);
    reaches("squared_hellinger", 1.0);
    reaches("jensen_shannon 0.1", bound(0.1));
    reaches("jensen_shannon 0.5", bound(0.5));
    reaches("jensen_shannon 0.9", bound(0.9));
    for (const char* name : {"skew_forward_kl", "skew_reverse_kl"}) reaches(name, -std::log(0.1));
    for (const char* name : {"skew_forward_kl 0.6", "skew_reverse_kl 0.6"}) reaches(name, -std::log(0.6));
}

TEST_CASE("a user's divergence from the textbook agrees with the library's own") {
    auto random = engine("laws: user's own");
    const filled_rows in = random_rows(random, 3, 29);
    const auto same = [&](const answer& found, const std::vector<double>& row_losses, const std::vector<double>& gradient) {
        CHECK(deviation(found.row_losses, row_losses) <= tolerance::rounding);
        CHECK(deviation(found.gradient, gradient) <= tolerance::rounding);
    };
    const answer hellinger = named("squared_hellinger").on_reference(in, {});
    same(named("user: squared_hellinger").on_reference(in, {}), hellinger.row_losses, hellinger.gradient);
    const answer forward = named("forward_kl").on_reference(in, {}), reverse = named("reverse_kl").on_reference(in, {});
    same(named("user: value alone").on_reference(in, {}), combined(1.0, forward.row_losses, 1.0, reverse.row_losses),
         combined(1.0, forward.gradient, 1.0, reverse.gradient));
}

}  // namespace
}  // namespace distill_test
