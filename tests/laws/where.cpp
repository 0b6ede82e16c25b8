// Objectives in some rows only: a gate inside the call against factors that are computed before it.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

// Rows from flat to peaked, of both sides, in every pairing.
filled_rows rows_of_many_entropies(std::mt19937& random) {
    filled_rows in = random_rows(random, 12, 40, 1.0);
    for (std::size_t row = 0; row < in.rows; ++row)
        for (std::size_t v = 0; v < in.vocabulary; ++v) {
            in.student_row(row)[v] *= 0.2 + 1.5 * static_cast<double>(row % 4);
            in.teacher_row(row)[v] *= 0.4 * static_cast<double>(1 + row / 2);
        }
    fill_tokens(in, random);
    return in;
}

double entropy_of(const std::vector<double>& log_p) {
    double sum = 0.0;
    for (const double l : log_p) sum -= std::exp(l) * l;
    return sum;
}

struct factors {
    std::vector<double> values{};
    std::size_t open = 0;
};

template <class Factor>
factors factors_of(const filled_rows& in, const Factor& factor) {
    factors found;
    for (std::size_t row = 0; row < in.rows; ++row) {
        found.values.push_back(factor(entropy_of(log_softmax(in.student_row(row), in.vocabulary)),
                                      entropy_of(log_softmax(in.teacher_row(row), in.vocabulary))));
        found.open += found.values.back() != 0.0 ? 1 : 0;
    }
    return found;
}

// Stronger the less the student is sure: a gate of a user's own, between 0 and 1.
struct share_of_largest_entropy {
    static constexpr fields needs = fields::none;

    template <class Row>
    double operator()(const Row& row) const {
        return row.sum([](const auto& e) { return -e.p * e.log_p; }) / std::log(static_cast<double>(row.vocabulary));
    }
};

template <class Element, class Backend, class Objective>
answer call(const Objective& objective, const Backend& backend, const filled_rows& in,
            const std::vector<double>& coefficients) {
    std::vector<std::int64_t> top_tokens;
    std::vector<double> top_log_probs;
    for (std::size_t row = 0; row < in.rows; ++row)
        for (const std::int64_t v : {3, 17, 8}) {
            top_tokens.push_back(v);
            top_log_probs.push_back(log_softmax(in.teacher_row(row), in.vocabulary)[static_cast<std::size_t>(v)]);
        }
    return answer_of<Element>(loss{objective, backend, token_mean{}}, in, [&](batch<Element>& rows) {
        rows.coefficients = coefficients;
        rows.top_tokens = top_tokens;
        rows.top_log_probs = top_log_probs;
    });
}

template <class Visitor>
void for_each_objective(const Visitor& visit) {
    visit("a sum over the vocabulary", 0.5 * forward_kl{});
    visit("one without a teacher", entropy{});
    visit("one token", clipped_surrogate{});
    visit("the teacher's token", teacher_guidance{});
    visit("a draw", sampled_guidance{7});
    visit("a set of tokens", top_forward_kl<truncation::teacher_truncated>{});
    visit("the normaliser", 0.1 * z_loss{});
    visit("a term fitted to its row", adaptive_kl{} + 2.0 * centered_log_ratio_advantage{});
    visit("a temperature of its own", at_temperature(temperature{1.0}, reverse_kl{}) + cross_entropy{});
}

// The rows, and what a call on them answers where each row's factor is known beforehand.
struct rows_with_factors {
    filled_rows in;
    std::vector<double> values;

    template <class Factor>
    rows_with_factors(const Factor& factor, std::size_t fewest_closed) {
        auto random = engine("where");
        in = rows_of_many_entropies(random);
        const factors found = factors_of(in, factor);
        REQUIRE(found.open >= 2);
        REQUIRE(in.rows - found.open >= fewest_closed);
        values = found.values;
    }

    template <class Element, class Backend, class Gate, class Objective>
    void hold(const Backend& backend, const Gate& gate, const Objective& objective, double allowed) const {
        const answer expected = call<double>(per_row(objective), reference{}, in, values),
                     found = call<Element>(where(gate, objective), backend, in, std::vector<double>(in.rows, 1.0));
        CHECK(deviation(found.result.value, expected.result.value) <= allowed);
        CHECK(deviation(found.row_losses, expected.row_losses) <= allowed);
        CHECK(deviation(found.gradient, expected.gradient) <= allowed);
        CHECK(found.result.clipped_rows == expected.result.clipped_rows);
        CHECK(found.result.guarded_rows == expected.result.guarded_rows);
    }
};

TEST_CASE("where the teacher's entropy exceeds a bound any objective is itself, elsewhere it is 0") {
    const rows_with_factors rows([](double, double of_teacher) { return of_teacher > 2.0 ? 1.0 : 0.0; }, 2);
    for_each_objective([&](const std::string& name, const auto& objective) {
        CAPTURE(name);
        rows.hold<double>(reference{}, teacher_entropy_above{2.0}, objective, tolerance::rounding);
    });
}

TEST_CASE("where the student's entropy exceeds a bound the objective is itself, elsewhere it is 0") {
    const rows_with_factors rows([](double of_student, double) { return of_student > 2.5 ? 1.0 : 0.0; }, 2);
    const student_entropy_above gate{2.5};
    rows.hold<double>(reference{}, gate, entropy{}, tolerance::rounding);
    rows.hold<double>(reference{}, gate, cross_entropy{}, tolerance::rounding);
    rows.hold<double>(reference{}, gate, 0.1 * z_loss{}, tolerance::rounding);
    rows.hold<float>(eigen{}, gate, reverse_kl{} + teacher_guidance{}, tolerance::single_loss);
    rows.hold<float>(eigen{}, gate, top_forward_kl<>{}, tolerance::single_loss);
}

TEST_CASE("a gate of a user's own may answer any factor") {
    const rows_with_factors rows([](double of_student, double) { return of_student / std::log(40.0); }, 0);
    rows.hold<double>(reference{}, share_of_largest_entropy{}, forward_kl{}, tolerance::rounding);
    rows.hold<double>(reference{}, share_of_largest_entropy{}, clipped_surrogate{}, tolerance::rounding);
}

TEST_CASE("what stands beside a gated objective is as it was") {
    auto random = engine("where: beside");
    const filled_rows in = rows_of_many_entropies(random);
    const std::vector<double> ones(in.rows, 1.0);
    const answer gated =
        call<double>(where(student_entropy_above{100.0}, forward_kl{}) + reverse_kl{}, reference{}, in, ones);
    const answer alone = call<double>(reverse_kl{}, reference{}, in, ones);
    CHECK(deviation(gated.row_losses, alone.row_losses) <= tolerance::rounding);
    CHECK(deviation(gated.gradient, alone.gradient) <= tolerance::rounding);
}

}  // namespace
}  // namespace distill_test
