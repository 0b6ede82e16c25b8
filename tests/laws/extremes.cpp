// The ends of what a row may hold: subnormal probabilities, rows at different levels, logits of the size of their
// temperature, clamped log-ratios, masked entries where an exponent is 0, coefficients and weights far from 1.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

filled_rows as_floats(filled_rows in) {
    for (auto* logits : {&in.student, &in.teacher}) *logits = widened(stored<float>(*logits));
    return in;
}

// The student is the teacher plus noise.
filled_rows near_rows(std::mt19937& random, std::size_t rows, std::size_t vocabulary, double noise) {
    filled_rows in = random_rows(random, rows, vocabulary, 3.0);
    const auto step = normal(random, in.student.size(), noise);
    for (std::size_t i = 0; i < in.student.size(); ++i) in.student[i] = in.teacher[i] + step[i];
    return in;
}

void check_digits(const subject& s, const filled_rows& in, const temperature& t) {
    CAPTURE(s.name);
    CAPTURE(t.student);
    const answer expected = s.on_reference(in, {.temperature = t}), found = s.on_eigen(in, {.temperature = t});
    for (std::size_t row = 0; row < in.rows; ++row) {
        CAPTURE(expected.row_losses[row]);
        CHECK(relative_error(found.row_losses[row], expected.row_losses[row]) <= tolerance::single_loss);
    }
    CHECK(norm_error(found.gradient, expected.gradient) <= tolerance::single_gradient);
}

bool keeps_digits(const subject& s) { return s.is_divergence() && s.accuracy == near_equality::keeps_digits; }

TEST_CASE("the level of a row changes nothing: teacher and student may stand at different ones") {
    auto random = engine("extremes: levels");
    const filled_rows level = near_rows(random, 3, 2000, 0.3);
    for (const double offset : {30.0, -100.0, 1000.0, 1e4}) {
        CAPTURE(offset);
        filled_rows in = level, other = level;
        for (double& w : in.teacher) w += offset;
        for (double& z : other.student) z += offset;
        for (const subject& s : subjects())
            if (keeps_digits(s)) {
                check_digits(s, as_floats(in), {});
                check_digits(s, as_floats(other), {});
            }
    }
}

TEST_CASE("logits of the size of their own temperature are as good as others, at one temperature and at two") {
    auto random = engine("extremes: temperatures");
    const filled_rows ordinary = near_rows(random, 3, 500, 0.3);
    for (const temperature& t : {temperature{1e-4}, temperature{1e4}, temperature{1e-4, 1.0}, temperature{1.0, 1e-4},
                                 temperature{1e4, 1.0}, temperature{1.0, 1e4}, temperature{1e4, 1e-4}}) {
        filled_rows in = ordinary;
        for (double& z : in.student) z *= t.student;
        for (double& w : in.teacher) w *= t.teacher;
        for (const subject& s : subjects())
            if (keeps_digits(s)) check_digits(s, as_floats(in), t);
    }
}

TEST_CASE("entries whose probabilities are subnormal in float weigh nothing") {
    auto random = engine("extremes: subnormal");
    std::uniform_real_distribution<double> below(0.0, 3.0);
    for (const double base : {-81.0, -84.0, -95.0}) {
        CAPTURE(base);
        filled_rows in = random_rows(random, 2, 1000, 0.2);
        for (std::size_t i = 1; i < in.student.size(); i += 2) {
            in.student[i] = base - below(random);
            in.teacher[i] = base - below(random);
        }
        for (std::size_t row = 0; row < in.rows; ++row) in.tokens[row] = in.teacher_tokens[row] = in.labels[row] = 0;
        in = as_floats(in);
        for (const subject& s : subjects()) {
            if (!s.is_divergence()) continue;
            CAPTURE(s.name);
            const answer expected = s.on_reference(in, {});
            for (const auto set : {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512}) {
                const answer found = s.on_eigen(in, {.widest = set});
                CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::single_loss);
                CHECK(deviation(found.gradient, expected.gradient) <= tolerance::single_loss);
            }
        }
    }
}

TEST_CASE("squared_hellinger by its value alone has no pull on a token whose probability is subnormal") {
    const auto by_value = term_from([](const auto& e) {
        const auto d = sqrt(e.p) - sqrt(e.q);
        return 0.5 * d * d;
    });
    filled_rows in{
        .rows = 1, .vocabulary = 1000, .student = std::vector<double>(1000), .teacher = std::vector<double>(1000)};
    in.student[5] = -85.5;
    in.teacher[5] = 5.0;
    const answer expected = evaluate<double>(by_value, reference{}, in, {}),
                 found = evaluate<float>(by_value, eigen{}, in, {});
    CHECK(deviation(found.gradient, expected.gradient) <= tolerance::single_loss);
}

TEST_CASE("a term that writes a power as exp(a log p) is finite on masked entries, and the same on every backend") {
    const auto root = term_from([](const auto& e) { return -exp(0.5 * log(e.p)) * sqrt(e.q); });
    const auto rest = term_from([](const auto& e) { return (1.0 - e.p) * log1p(-e.p); });
    filled_rows in{.rows = 2,
                   .vocabulary = 3,
                   .student = {1.0, minus_infinity, 3.0, minus_infinity, 2.0, minus_infinity},
                   .teacher = {3.0, 1.0, 1.0, 1.0, 2.0, 3.0}};
    const auto check = [&](const auto& objective) {
        const answer expected = evaluate<double>(objective, reference{}, in, {});
        CHECK(expected.result.nonfinite_rows == 0);
        for (const answer& found :
             {evaluate<double>(objective, eigen{}, in, {}), evaluate<float>(objective, eigen{}, in, {})}) {
            CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::single_loss);
            CHECK(deviation(found.gradient, expected.gradient) <= tolerance::single_loss);
        }
    };
    check(root);
    check(rest);
}

TEST_CASE("alpha_beta is right at entries that one side masks, an exponent of 0 or near it included") {
    auto random = engine("extremes: alpha_beta");
    for (const auto& exponents :
         {std::pair{0.0, 0.7}, {0.0, 1.0}, {0.7, 0.0}, {1.0, 0.0}, {1e-6, 0.7}, {0.7, 1e-6}, {0.2, 0.7}})
        for (const bool student : {true, false}) {
            const double a = exponents.first, b = exponents.second;
            if ((student ? b : a) == 0.0) continue;  // infinite there, in mathematics
            CAPTURE(a);
            CAPTURE(b);
            CAPTURE(student);
            filled_rows in = as_floats(random_rows(random, 2, 37));
            for (std::size_t row = 0; row < in.rows; ++row)
                (student ? in.student_row(row) : in.teacher_row(row))[3] = minus_infinity;
            const answer expected = evaluate<double>(alpha_beta{a, b}, reference{}, in, {});
            const answer found = evaluate<float>(alpha_beta{a, b}, eigen{}, in, {});
            for (std::size_t row = 0; row < in.rows; ++row)
                CHECK(relative_error(found.row_losses[row], expected.row_losses[row]) <= tolerance::single_loss);
            CHECK(norm_error(found.gradient, expected.gradient) <= tolerance::single_gradient);
        }
}

TEST_CASE("alpha_beta's pull on a token that the student lacks keeps its digits") {
    const double log_q = -0.5;
    for (const double gap : {5.0, 20.0, 30.0, 60.0}) {
        CAPTURE(gap);
        const auto derivative = [&]<class Number>(Number) {
            const entry<Number> e{
                log_q - gap, std::exp(log_q - gap), log_q, std::exp(log_q), -gap, std::exp(log_q - gap) - std::exp(log_q)};
            return static_cast<double>(alpha_beta{0.2, 0.7}(e).dlogp.value);
        };
        const double expected = std::exp(0.2 * log_q + 0.7 * (log_q - gap)) * std::expm1(-0.2 * gap) / 0.2;
        CHECK(relative_error(derivative(scalar<float>{}), expected) <= tolerance::single_gradient);
        CHECK(relative_error(derivative(scalar<double>{}), expected) <= tolerance::rounding);
    }
}

TEST_CASE(
    "the reverse KL of a teacher that masks much or is sure of one token has the right gradient, from 1 to a million") {
    auto random = engine("extremes: clamped");
    for (const auto& place : {std::pair{40u, 2u}, {5000u, 2u}, {40u, 40u}, {5000u, 5000u}})
        for (const double depth : {10.0, 60.0, 110.0, 300.0, 1e4, 65504.0, 3e6, std::numeric_limits<double>::infinity()}) {
            const unsigned vocabulary = place.first, step = place.second;
            CAPTURE(vocabulary);
            CAPTURE(step);
            CAPTURE(depth);
            const bool is_sure = step == vocabulary;
            if (is_sure && depth > 1e5) continue;
            filled_rows in = random_rows(random, 2, vocabulary, 0.5);
            for (std::size_t i = 0; i < in.teacher.size(); i += step) in.teacher[i] += is_sure ? depth : -depth;
            in = as_floats(in);
            for (const auto& t : {temperature{}, temperature{2.0, 0.5}}) {
                const answer expected = evaluate<double>(reverse_kl{}, reference{}, in, t);
                const answer wide = evaluate<double>(reverse_kl{}, eigen{}, in, t),
                             found = evaluate<float>(reverse_kl{}, eigen{}, in, t);
                CHECK(norm_error(wide.gradient, expected.gradient) <= tolerance::rounding);
                CHECK(norm_error(found.gradient, expected.gradient) <= tolerance::single_gradient);
                for (const answer& any : {wide, found}) {
                    double sum = 0.0, size = 2.0 * static_cast<double>(in.rows);  // p and q
                    for (const double g : any.gradient) sum += g, size += std::abs(g);
                    CHECK(std::abs(sum) <= tolerance::single_gradient_sum * size);
                }
            }
        }
}

TEST_CASE("uniform_cross_entropy counts an unmasked entry however low its logit is") {
    const filled_rows in{.rows = 1, .vocabulary = 3, .student = {0.0, -2e6, minus_infinity}, .teacher = {0.0, 0.0, 0.0}};
    for (const answer& found : {evaluate<double>(uniform_cross_entropy{}, reference{}, in, {}),
                                evaluate<float>(uniform_cross_entropy{}, eigen{}, in, {})}) {
        CHECK(found.result.value == 0.5 * -log_probability_floor);
        CHECK(found.gradient == std::vector<double>{0.5, -0.5, 0.0});
    }
}

// Of one row of weight 1 and coefficient 1, times `product`.
template <class Objective>
void check_product(const Objective& objective, double coefficient, double weight, double product) {
    CAPTURE(coefficient);
    CAPTURE(weight);
    auto random = engine("extremes: products");
    filled_rows in = random_rows(random, 1, 50);
    const answer expected = evaluate<double>(objective, reference{}, in, {});
    const auto check = [&](const auto& element, const auto& backend, double allowed) {
        using Element = std::remove_cvref_t<decltype(element)>;
        in.weights = {weight};
        answer found = answer_of<Element>(loss{coefficient * objective, backend, token_sum{}}, in, [](auto&) {});
        CHECK(relative_error(found.result.value, product * expected.result.value) <= allowed);
        for (double& g : found.gradient) g /= product;
        CHECK(norm_error(found.gradient, expected.gradient) <= allowed);
    };
    check(0.0, reference{}, tolerance::rounding);
    check(0.0, eigen{}, tolerance::rounding);
    check(0.0f, eigen{}, tolerance::single_loss);
}

TEST_CASE("a coefficient times a weight is their product, however far apart the two are") {
    for (const auto& [coefficient, weight] :
         {std::pair{1e300, 1e-300}, {1e-300, 1e300}, {1e60, 1e-40}, {-1e-50, 1e50}, {1e30, 1.0}, {1.0, 1e33}}) {
        const double product = coefficient * weight;
        check_product(forward_kl{}, coefficient, weight, product);
        check_product(jensen_shannon{}, coefficient, weight, product);
        check_product(0.5 * forward_kl{} + 0.3 * reverse_kl{} + 2.0 * jensen_shannon{0.25}, coefficient, weight, product);
        check_product(cross_entropy{} + 0.5 * jensen_shannon{}, coefficient, weight, product);
        check_product(at_temperature(temperature{2.0}, jensen_shannon{}) + 0.1 * entropy{}, coefficient, weight, product);
    }
}

TEST_CASE("a gradient's factor beyond float's range leaves what is 0 at 0, and everything finite") {
    auto random = engine("extremes: beyond float");
    filled_rows same = random_rows(random, 1, 30), sure = same;
    same.teacher = same.student;
    sure.student[7] = 400.0;
    for (const double weight : {1.0, 1e30, 1e250}) {
        for (auto* in : {&same, &sure}) in->weights = {weight};
        const auto check = [&](const auto& objective, const filled_rows& in) {
            const answer found = answer_of<float>(loss{1e40 * objective, eigen{}, token_sum{}}, in, [](auto&) {});
            CHECK(found.result.nonfinite_rows == 0);
            CHECK(all_finite(found.gradient));
            return found;
        };
        CHECK(all_zero(check(forward_kl{}, same).gradient));
        CHECK(all_zero(check(jensen_shannon{}, same).gradient));
        check(entropy{}, sure);
        check(reverse_kl{}, sure);
        check(0.5 * jensen_shannon{} + cross_entropy{}, sure);
    }
}

}  // namespace
}  // namespace distill_test
