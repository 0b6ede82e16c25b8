// Every backend against the golden values of an implementation that shares nothing with the library.
#include "golden_case.hpp"

#include <doctest/doctest.h>

#include <support/comparisons.hpp>
#include <support/tolerances.hpp>

#include <cmath>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace distill_test {
namespace {

struct tolerances {
    double absolute, relative;
};
constexpr tolerances in_double{tolerance::golden_double, tolerance::golden_double_relative},
    in_single{tolerance::golden_single, tolerance::golden_single_relative};

using backend_of_the_suite = golden_answer (*)(const golden_case&);

// GSPO takes two calls: the log-ratios of the present student to the one that sampled, averaged over each sequence, come first.
golden_answer answer(backend_of_the_suite backend, golden_case c) {
    if (c.objective == "sequence_surrogate") {
        golden_case sampled = c;
        sampled.objective = "cross_entropy";
        sampled.labels = c.tokens;
        c.sequence_log_ratios = backend(sampled).row_losses;
        for (std::size_t row = 0; row < c.rows; ++row)
            c.sequence_log_ratios[row] = -c.sequence_log_ratios[row] - c.old_log_probs[row];
        distill::sequence_means(c.sequence_log_ratios, c.sequence_offsets, std::span(c.sequence_log_ratios), c.weights);
    }
    return backend(c);
}

void hold(const golden_case& c, const golden_answer& found, const tolerances& allowed) {
    CHECK(deviation(found.loss, c.loss) <= allowed.absolute);
    if (!c.row_losses.empty()) CHECK(deviation(found.row_losses, c.row_losses) <= allowed.absolute);
    CHECK(deviation(found.gradient, c.gradient) <= allowed.absolute);
    // Small losses keep digits of their own.
    if (std::abs(c.loss) >= tolerance::smallest_divergence) CHECK(relative_error(found.loss, c.loss) <= allowed.relative);
    // Masked rows, and entries that the student masks, have a gradient of exactly 0.
    bool zeros_are_exact = true;
    for (std::size_t i = 0; i < c.gradient.size(); ++i) {
        const std::size_t row = i / c.vocabulary;
        const bool masked = (!c.weights.empty() && c.weights[row] == 0.0) || !distill::is_finite(c.student[i]);
        if (masked) zeros_are_exact = zeros_are_exact && found.gradient[i] == 0.0 && c.gradient[i] == 0.0;
    }
    CHECK(zeros_are_exact);
}

TEST_CASE("the reference and the SIMD backend in double give the golden losses, row losses and gradients") {
    for (const golden_case& c : golden_cases()) {
        CAPTURE(c.name);
        hold(c, answer(on_reference, c), in_double);
        hold(c, answer(on_eigen_double, c), in_double);
    }
}

TEST_CASE("the SIMD backend in float gives the golden losses, row losses and gradients to fp32") {
    for (const golden_case& c : golden_cases()) {
        CAPTURE(c.name);
        hold(c, answer(on_eigen_float, c), in_single);
    }
}

TEST_CASE("what TRL, DistiLLM, ABKD, AKL and TGPO's authors compute is one of our compositions") {
    std::map<std::string, std::size_t> cases_of;
    for (const golden_system& theirs : golden_systems()) {
        CAPTURE(theirs.ours.name);
        CAPTURE(theirs.system);
        ++cases_of[theirs.ours.name.substr(0, theirs.ours.name.find('_'))];
        const auto in_their_convention = [&](backend_of_the_suite backend) {
            golden_answer found = answer(backend, theirs.ours);
            found.loss = theirs.factor * found.loss + theirs.excess;
            for (double& g : found.gradient) g *= theirs.factor;
            return found;
        };
        hold(theirs.ours, in_their_convention(on_reference), in_double);
        hold(theirs.ours, in_their_convention(on_eigen_double), in_double);
        hold(theirs.ours, in_their_convention(on_eigen_float), in_single);
    }
    CHECK(cases_of == std::map<std::string, std::size_t>{{"abkd", 5}, {"akl", 1}, {"distillm", 8}, {"tgpo", 9}, {"trl", 8}});
}

TEST_CASE("the golden cases cover every objective, every reduction and both kinds of temperature") {
    std::set<std::string> objectives, reductions;
    bool separate = false, shared = false;
    for (const golden_case& c : golden_cases()) {
        objectives.insert(c.objective);
        reductions.insert(c.reduction);
        separate = separate || c.temperature.student != c.temperature.teacher;
        shared = shared || (c.temperature.student == c.temperature.teacher && c.temperature.student != 1.0);
    }
    CHECK(objectives.size() == 40);
    CHECK(reductions.size() == 5);
    CHECK(separate);
    CHECK(shared);
}

TEST_CASE("group advantages are the golden ones") {
    for (const auto& j : golden_file().at("advantages")) {
        CAPTURE(j.dump());
        const std::vector<double> rewards = j.at("rewards"), expected = j.at("expected");
        const std::vector<std::int64_t> offsets = j.at("group_offsets");
        const auto scale = !j.at("divide_by_std").get<bool>()           ? distill::advantage_scale::none
                           : j.at("std").get<std::string>() == "sample" ? distill::advantage_scale::sample_deviation
                                                                        : distill::advantage_scale::population_deviation;
        std::vector<double> found(rewards.size());
        distill::group_advantages(rewards, offsets, std::span(found), scale, j.at("epsilon").get<double>());
        CHECK(deviation(found, expected) <= tolerance::rounding);
    }
}

TEST_CASE("annealed coefficients are the golden ones") {
    for (const auto& j : golden_file().at("annealing")) {
        CAPTURE(j.dump());
        const distill::linear_annealing schedule{j.at("initial"), j.at("decrement"), j.at("floor")};
        const double expected = j.at("expected");
        const double found = schedule(j.at("step").get<std::int64_t>());
        CHECK(std::abs(found - expected) <= tolerance::rounding * j.at("initial").get<double>());
        CHECK((found == 0.0) == (expected == 0.0));
    }
}

}  // namespace
}  // namespace distill_test
