// Every backend against the golden values of an implementation that shares nothing with the library.
#include "golden_case.hpp"

#include <doctest/doctest.h>

#include <support/comparisons.hpp>
#include <support/tolerances.hpp>

#include <cmath>
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

void hold(const golden_case& c, const golden_answer& found, const tolerances& allowed) {
    CHECK(deviation(found.loss, c.loss) <= allowed.absolute);
    CHECK(deviation(found.row_losses, c.row_losses) <= allowed.absolute);
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
        hold(c, on_reference(c), in_double);
        hold(c, on_eigen_double(c), in_double);
    }
}

TEST_CASE("the SIMD backend in float gives the golden losses, row losses and gradients to fp32") {
    for (const golden_case& c : golden_cases()) {
        CAPTURE(c.name);
        hold(c, on_eigen_float(c), in_single);
    }
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
    CHECK(objectives.size() == 17);
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
