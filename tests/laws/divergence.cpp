// What makes a divergence: zero at p = q, positive elsewhere.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace distill_test {
namespace {

const distill::temperature temperatures[] = {distill::temperature(1.0), distill::temperature(2.0),
                                             distill::temperature(0.7)};

TEST_CASE("at p = q the loss and every entry of the gradient are exactly zero") {
    auto random = engine("laws: p = q");
    for (const std::size_t vocabulary : {1u, 2u, 17u, 61u, 2500u}) {
        filled_rows in = random_rows(random, 2, vocabulary, 3.0);
        in.teacher = in.student;
        for (const subject& s : subjects()) {
            if (!s.is_divergence()) continue;
            CAPTURE(s.name);
            CAPTURE(vocabulary);
            for (const auto& t : temperatures)
                for (const evaluator& f : s.everywhere()) {
                    const answer found = f(in, {.temperature = t});
                    CHECK(std::abs(found.result.value) <= tolerance::zero);
                    CHECK(deviation(found.row_losses, std::vector<double>(in.rows, 0.0)) <= tolerance::zero);
                    CHECK(deviation(found.gradient, std::vector<double>(in.student.size(), 0.0)) <= tolerance::zero);
                }
        }
    }
}

TEST_CASE("a teacher whose logits differ by a constant is the same teacher") {
    auto random = engine("laws: p = q but for a constant");
    filled_rows in = random_rows(random, 3, 40, 3.0);
    for (std::size_t i = 0; i < in.student.size(); ++i) in.teacher[i] = in.student[i] + 11.0;
    for (const subject& s : subjects()) {
        if (!s.is_divergence()) continue;
        CAPTURE(s.name);
        const answer found = s.on_reference(in, {});
        CHECK(found.result.value >= 0.0);
        CHECK(found.result.value <= tolerance::rounding);
        // A distance with a kink jumps there by p / 2: the gradient is not continuous, and so not compared.
        if (s.name != "total_variation")
            CHECK(deviation(found.gradient, std::vector<double>(in.student.size(), 0.0)) <= tolerance::rounding);
    }
}

TEST_CASE("a divergence is positive wherever p and q differ, from a breath apart to disjoint") {
    auto random = engine("laws: positive");
    for (const double gap : {1e-4, 1e-2, 1.0, 30.0}) {
        for (int round = 0; round < 5; ++round) {
            filled_rows in = random_rows(random, 4, 53, 2.0);
            const auto step = normal(random, in.student.size(), gap);
            for (std::size_t i = 0; i < in.student.size(); ++i) in.teacher[i] = in.student[i] + step[i];
            for (const subject& s : subjects()) {
                if (!s.is_divergence()) continue;
                CAPTURE(s.name);
                CAPTURE(gap);
                for (const double row_loss : s.on_reference(in, {}).row_losses) CHECK(row_loss > 0.0);
                for (const evaluator& f : s.on_simd())
                    for (const double row_loss : f(in, {}).row_losses) CHECK(row_loss >= 0.0);
            }
        }
    }
}

TEST_CASE("over a vocabulary of one token every divergence and every gradient vanishes") {
    auto random = engine("laws: one token");
    const filled_rows in = random_rows(random, 5, 1, 4.0);
    const std::vector<double> zeros(in.rows, 0.0);
    for (const subject& s : subjects()) {
        if (s.kind == nature::normalizer) continue;
        CAPTURE(s.name);
        for (const auto& t : {distill::temperature(1.0), distill::temperature(2.0, 0.7)}) {
            const auto vanishes = [&](const evaluator& f, double bound) {
                const answer found = f(in, {.temperature = t});
                CHECK(deviation(found.gradient, zeros) <= bound);
                if (s.kind != nature::token) CHECK(deviation(found.row_losses, zeros) <= bound);
            };
            vanishes(s.on_reference, tolerance::rounding);
            for (const evaluator& f : s.on_simd()) vanishes(f, tolerance::single_loss);
        }
    }
}

TEST_CASE("uniform student and teacher are equal at any two temperatures, wherever their logits lie") {
    filled_rows in{.rows = 2, .vocabulary = 66};
    in.student.assign(132, -14.0);
    in.teacher.assign(132, -14.0);
    for (std::size_t v = 0; v < 66; ++v) in.teacher_row(1)[v] = 3000.0;
    auto random = engine("laws: uniform rows");
    fill_tokens(in, random);
    for (const subject& s : subjects()) {
        if (!s.is_divergence()) continue;
        CAPTURE(s.name);
        for (const auto& t : {distill::temperature(1e-4, 1e4), distill::temperature(1e4, 1e-4)})
            for (const evaluator& f : s.everywhere()) {
                const answer found = f(in, {.temperature = t});
                CHECK(deviation(found.row_losses, std::vector<double>(2, 0.0)) <= tolerance::single_loss);
                CHECK(deviation(found.gradient, std::vector<double>(132, 0.0)) <= tolerance::single_loss);
            }
    }
}

TEST_CASE("parameters at the edge of their domain give finite results") {
    auto random = engine("laws: edges of domains");
    filled_rows in = random_rows(random, 2, 3);
    in.student = {0.0, 0.0, -9990.0, 1.0, 2.0, 3.0};
    in.teacher = {0.0, 12.0, 0.0, 2.0, 1.0, 3.0};
    const auto finite = [&](const auto& objective) {
        for (const answer& found : {evaluate<double>(objective, distill::reference{}, in, {}),
                                    evaluate<float>(objective, distill::eigen{}, in, {})}) {
            CHECK(found.result.nonfinite_rows == 0);
            CHECK(all_finite(found.gradient));
        }
    };
    for (const double b : {1e-300, 1e-17, 1.0 - 0x1p-53}) finite(distill::jensen_shannon{b});
    for (const double b : {1e-40, 5e-315, 0x1p-80}) {
        finite(distill::alpha_beta{0.2, b});
        finite(distill::alpha_beta{b, 0.2});
        finite(distill::alpha_beta{b, b});
    }
}

}  // namespace
}  // namespace distill_test
