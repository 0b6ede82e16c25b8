// What sampled-token terms are on average: the sum over every token y of its probability times the gradient at y.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string_view>
#include <utility>

namespace distill_test {
namespace {

using namespace distill;

// One pair of distributions, at a temperature.
struct pair {
    std::vector<double> student, teacher, log_p, log_q;
    temperature t;
};

pair random_pair(const char* label, temperature t) {
    auto random = engine(label);
    constexpr std::size_t vocabulary = 17;
    pair drawn{normal(random, vocabulary, 1.5), normal(random, vocabulary, 1.5), {}, {}, t};
    drawn.log_p = log_softmax(drawn.student.data(), vocabulary, t.student);
    drawn.log_q = log_softmax(drawn.teacher.data(), vocabulary, t.teacher);
    return drawn;
}

// One row per token of the vocabulary, each weighted by its probability.
template <class Advantage>
filled_rows enumerated(const pair& of, const std::vector<double>& log_probability, const Advantage& advantage) {
    const std::size_t vocabulary = of.student.size();
    filled_rows in{.rows = vocabulary, .vocabulary = vocabulary};
    for (std::size_t y = 0; y < vocabulary; ++y) {
        in.student.insert(in.student.end(), of.student.begin(), of.student.end());
        in.teacher.insert(in.teacher.end(), of.teacher.begin(), of.teacher.end());
        in.weights.push_back(std::exp(log_probability[y]));
        in.tokens.push_back(static_cast<std::int64_t>(y));
        in.old_log_probs.push_back(of.log_p[y]);
        in.advantages.push_back(advantage(y));
        in.sequence_log_ratios.push_back(0.0);
    }
    in.teacher_tokens = in.labels = in.tokens;
    in.teacher_log_probs = of.log_q;
    return in;
}

// The gradient summed over rows.
std::vector<double> expected_gradient(std::string_view name, const pair& of, const filled_rows& in) {
    const answer found = named(name).on_reference(in, {.temperature = of.t});
    std::vector<double> sum(in.vocabulary, 0.0);
    for (std::size_t i = 0; i < found.gradient.size(); ++i) sum[i % in.vocabulary] += found.gradient[i];
    return sum;
}

filled_rows one_row(const pair& of) {
    filled_rows in{.rows = 1, .vocabulary = of.student.size(), .student = of.student, .teacher = of.teacher};
    in.weights = {1.0};
    return in;
}

std::vector<double> closed_gradient(std::string_view name, const pair& of, double coefficient = 1.0) {
    return named(name).on_reference(one_row(of), {.temperature = of.t, .coefficient = coefficient}).gradient;
}

const temperature temperatures[] = {temperature(1.0), temperature(2.0), temperature(0.7, 1.3)};

TEST_CASE("the policy gradient with log q(y) - log p(y) as its advantage is reverse KL's gradient on average") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: reverse KL", t);
        const filled_rows in = enumerated(of, of.log_p, [&](std::size_t y) { return of.log_q[y] - of.log_p[y]; });
        CHECK(deviation(expected_gradient("policy_gradient", of, in), closed_gradient("reverse_kl", of)) <=
              tolerance::rounding);
    }
}

TEST_CASE("any baseline that does not depend on the token leaves the policy gradient's average as it is") {
    const pair of = random_pair("laws: baseline", temperature(1.0));
    const filled_rows in = enumerated(of, of.log_p, [&](std::size_t y) { return of.log_q[y] - of.log_p[y] + 5.0; });
    CHECK(deviation(expected_gradient("policy_gradient", of, in), closed_gradient("reverse_kl", of)) <= tolerance::rounding);
    const filled_rows constant = enumerated(of, of.log_p, [](std::size_t) { return 3.0; });
    CHECK(deviation(expected_gradient("policy_gradient", of, constant), std::vector<double>(of.student.size(), 0.0)) <=
          tolerance::rounding);
}

TEST_CASE("the policy gradient with q(y) / p(y) - 1 as its advantage is forward KL's gradient on average") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: forward KL from the student", t);
        const filled_rows in =
            enumerated(of, of.log_p, [&](std::size_t y) { return std::expm1(of.log_q[y] - of.log_p[y]); });
        CHECK(deviation(expected_gradient("policy_gradient", of, in), closed_gradient("forward_kl", of)) <=
              tolerance::rounding);
    }
}

TEST_CASE("the policy gradient with log(b q(y) / p(y) + 1 - b) as its advantage is JSD's gradient over 1 - b on average") {
    const std::pair<double, const char*> entries[] = {
        {0.1, "jensen_shannon 0.1"}, {0.5, "jensen_shannon 0.5"}, {0.9, "jensen_shannon 0.9"}};
    for (const auto& [b, name] : entries) {
        const pair of = random_pair("laws: JSD from the student", temperature(2.0));
        const filled_rows in = enumerated(of, of.log_p, [&, weight = b](std::size_t y) {
            return std::log1p(weight * std::expm1(of.log_q[y] - of.log_p[y]));
        });
        CHECK(deviation(expected_gradient("policy_gradient", of, in), closed_gradient(name, of, 1.0 / (1.0 - b))) <=
              tolerance::rounding);
    }
}

TEST_CASE("descending k2 is descending reverse KL on average, descending k3 forward KL") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: estimators", t);
        const filled_rows in = enumerated(of, of.log_p, [](std::size_t) { return 1.0; });
        const auto reverse = closed_gradient("reverse_kl", of), forward = closed_gradient("forward_kl", of);
        CHECK(deviation(expected_gradient("kl_estimator k1 k2", of, in), reverse) <= tolerance::rounding);
        CHECK(deviation(expected_gradient("kl_estimator k2 k2", of, in), reverse) <= tolerance::rounding);
        CHECK(deviation(expected_gradient("kl_estimator k3 k3", of, in), forward) <= tolerance::rounding);
    }
}

TEST_CASE("on-policy distillation descends reverse KL on average, with a baseline or an importance ratio of 1 too") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: on-policy distillation", t);
        const filled_rows in = enumerated(of, of.log_p, [](std::size_t) { return 0.0; });
        for (const char* name : {"log_ratio_advantage", "opd", "vopd"})
            CHECK(deviation(expected_gradient(name, of, in), closed_gradient("reverse_kl", of)) <= tolerance::rounding);
        CHECK(deviation(named("log_ratio_advantage").on_reference(in, {.temperature = t}).gradient,
                        named("kl_estimator k1 k2").on_reference(in, {.temperature = t}).gradient) <= tolerance::rounding);
    }
}

TEST_CASE("the exact baseline makes the gradient's mean the same and its variance smaller") {
    const pair of = random_pair("laws: variance", temperature(1.0));
    const filled_rows in = enumerated(of, of.log_p, [](std::size_t) { return 0.0; });
    const auto second_moment = [&](std::string_view name) {
        // Every row carries its probability as weight: sum_y p_y |g_y|^2 = sum_y |p_y g_y|^2 / p_y.
        const answer found = named(name).on_reference(in, {.temperature = of.t});
        double sum = 0.0;
        for (std::size_t i = 0; i < found.gradient.size(); ++i)
            sum += found.gradient[i] * found.gradient[i] / in.weights[i / in.vocabulary];
        return sum;
    };
    CHECK(second_moment("vopd") < second_moment("log_ratio_advantage"));
}

TEST_CASE("the mixture's advantage descends JSD over 1 - a on average") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: mixture advantage", t);
        const filled_rows in = enumerated(of, of.log_p, [](std::size_t) { return 0.0; });
        CHECK(deviation(expected_gradient("mixture_advantage", of, in),
                        closed_gradient("jensen_shannon 0.1", of, 1.0 / 0.9)) <= tolerance::rounding);
    }
}

TEST_CASE("log q(y) read off the teacher's logits is log q(y) as it is given") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: teacher's log-probability", t);
        const filled_rows given = enumerated(of, of.log_p, [](std::size_t) { return 0.4; });
        filled_rows found = given;
        found.teacher_log_probs.clear();
        for (const char* name : {"kl_estimator k3 k3", "log_ratio_advantage", "opd", "vopd", "power_advantage",
                                 "mixture_advantage, ratio", "kdrl"}) {
            CAPTURE(name);
            const auto hold = [&](const evaluator& evaluate, double allowed) {
                const answer expected = evaluate(given, {.temperature = t}), read = evaluate(found, {.temperature = t});
                CHECK(deviation(read.row_losses, expected.row_losses) <= allowed);
                CHECK(deviation(read.gradient, expected.gradient) <= allowed);
            };
            hold(named(name).on_reference, tolerance::rounding);
            hold(named(name).on_eigen, tolerance::single_loss);
        }
    }
}

TEST_CASE("the values of k1 and k3 are reverse KL on average, and k3 and k2 are never negative") {
    const pair of = random_pair("laws: estimated values", temperature(1.0));
    const filled_rows in = enumerated(of, of.log_p, [](std::size_t) { return 1.0; });
    const double expected = named("reverse_kl").on_reference(one_row(of), {}).result.value;
    CHECK(deviation(named("kl_estimator k1 k2").on_reference(in, {}).result.value, expected) <= tolerance::rounding);
    CHECK(deviation(named("kl_estimator k3 k3").on_reference(in, {}).result.value, expected) <= tolerance::rounding);
    for (const char* name : {"kl_estimator k2 k2", "kl_estimator k3 k3"})
        for (const double row_loss : named(name).on_reference(in, {}).row_losses) CHECK(row_loss >= 0.0);
}

TEST_CASE("guidance on a label drawn from the teacher is forward KL's gradient on average; so is cross-entropy") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: forward KL from the teacher", t);
        const filled_rows in = enumerated(of, of.log_q, [](std::size_t) { return 1.0; });
        const auto expected = closed_gradient("forward_kl", of);
        CHECK(deviation(expected_gradient("teacher_guidance", of, in), expected) <= tolerance::rounding);
        CHECK(deviation(expected_gradient("cross_entropy", of, in), expected) <= tolerance::rounding);
    }
}

TEST_CASE("the value of cross-entropy on the teacher's labels is forward KL plus the teacher's entropy") {
    const pair of = random_pair("laws: cross-entropy", temperature(0.7));
    const filled_rows in = enumerated(of, of.log_q, [](std::size_t) { return 1.0; });
    double entropy_of_teacher = 0.0;
    for (const double log_q : of.log_q) entropy_of_teacher -= std::exp(log_q) * log_q;
    const setting s{.temperature = of.t};
    CHECK(deviation(named("cross_entropy").on_reference(in, s).result.value,
                    named("forward_kl").on_reference(one_row(of), s).result.value + entropy_of_teacher) <=
          tolerance::rounding);
}

TEST_CASE("at ratio 1 every clipped surrogate has the policy gradient, and the value -A") {
    for (const temperature& t : temperatures) {
        const pair of = random_pair("laws: surrogate", t);
        const filled_rows in =
            enumerated(of, of.log_p, [](std::size_t y) { return y % 2 == 0 ? 0.7 : -1.3 - static_cast<double>(y); });
        const answer expected = named("policy_gradient").on_reference(in, {.temperature = t});
        for (const char* name : {"clipped_surrogate", "clipped_surrogate, clip-higher", "clipped_surrogate, dual clip"}) {
            CAPTURE(name);
            const answer found = named(name).on_reference(in, {.temperature = t});
            CHECK(deviation(found.gradient, expected.gradient) <= tolerance::rounding);
            for (std::size_t row = 0; row < in.rows; ++row)
                CHECK(deviation(found.row_losses[row], -in.advantages[row]) <= tolerance::rounding);
            CHECK(found.result.clipped_rows == 0);
            CHECK(found.result.guarded_rows == 0);
        }
    }
}

TEST_CASE("tgpo is its surrogate plus its coefficient times its guidance; at 0 the surrogate alone") {
    auto random = engine("laws: tgpo");
    const filled_rows in = random_rows(random, 8, 23);
    const answer surrogate = named("clipped_surrogate").on_reference(in, {});
    const answer guidance = named("teacher_guidance").on_reference(in, {});
    for (const double coefficient : {2e-3, 0.5, 0.0}) {
        const answer found = evaluate<double>(tgpo{.coefficient = coefficient, .surrogate = {}}, reference{}, in, {});
        CHECK(deviation(found.result.value, surrogate.result.value + coefficient * guidance.result.value) <=
              tolerance::rounding);
        std::vector<double> expected = surrogate.gradient;
        for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += coefficient * guidance.gradient[i];
        CHECK(deviation(found.gradient, expected) <= tolerance::rounding);
    }
}

TEST_CASE("the annealed coefficient is 2e-3 at step 1, exactly 0 from step 201 on, and falls by equal steps between") {
    const linear_annealing schedule;
    CHECK(schedule(1) == 2e-3);
    CHECK(schedule(200) > 0.0);
    CHECK(schedule(201) == 0.0);
    CHECK(schedule(300) == 0.0);
    for (int step = 1; step < 200; ++step)
        CHECK(deviation((schedule(step) - schedule(step + 1)) / 1e-5, 1.0) <= tolerance::rounding);
    const linear_annealing with_floor{.initial = 1.0, .decrement = 0.25, .floor = 0.4};
    CHECK(with_floor(3) == 0.5);
    CHECK(with_floor(4) == 0.4);
    const linear_annealing constant{.initial = 2e-3, .decrement = 0.0};
    CHECK(constant(1000000) == 2e-3);
}

TEST_CASE("group advantages sum to zero, have the deviation one, and do not know the rewards' unit") {
    auto random = engine("laws: advantages");
    const std::vector<std::int64_t> offsets = {0, 8, 9, 12, 16};
    std::vector<double> rewards = normal(random, 16, 2.0);
    for (std::size_t i = 9; i < 12; ++i) rewards[i] = 0.25;
    const auto of = [&](const std::vector<double>& values, advantage_scale scale, double epsilon) {
        std::vector<double> advantages(values.size());
        group_advantages(values, offsets, std::span(advantages), scale, epsilon);
        return advantages;
    };
    std::vector<double> other_unit = rewards;
    for (double& r : other_unit) r = 3.0 * r - 7.0;
    for (const auto scale : {advantage_scale::sample_deviation, advantage_scale::population_deviation}) {
        const auto advantages = of(rewards, scale, 0.0);
        CHECK(deviation(of(other_unit, scale, 0.0), advantages) <= tolerance::rounding);
        for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, 8}, {12, 16}}) {
            double sum = 0.0, squares = 0.0;
            for (std::size_t i = begin; i < end; ++i) sum += advantages[i], squares += advantages[i] * advantages[i];
            const auto count = static_cast<double>(end - begin);
            CHECK(deviation(sum, 0.0) <= tolerance::rounding);
            CHECK(deviation(squares, scale == advantage_scale::sample_deviation ? count - 1.0 : count) <=
                  tolerance::rounding);
        }
        for (std::size_t i = 8; i < 12; ++i) CHECK(advantages[i] == 0.0);  // a group of one, a group of equals
    }
    const auto centred = of(rewards, advantage_scale::none, 1e-6);
    for (std::size_t i = 1; i < 8; ++i)
        CHECK(deviation(centred[i] - centred[0], rewards[i] - rewards[0]) <= tolerance::rounding);
}

}  // namespace
}  // namespace distill_test
