// Logit soft-caps: a call on raw logits is the call on capped ones, with the chain rule's factor.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

std::vector<double> capped(std::vector<double> logits, double cap) {
    if (cap != 0.0)
        for (double& x : logits)
            if (is_finite(x)) x = cap * std::tanh(x / cap);
    return logits;
}

// 1 - tanh(x / cap)^2 of every logit, 0 where it is masked; 1 without a cap.
std::vector<double> slopes(std::vector<double> logits, double cap) {
    for (double& x : logits) x = cap == 0.0 ? 1.0 : is_finite(x) ? 1.0 / (std::cosh(x / cap) * std::cosh(x / cap)) : 0.0;
    return logits;
}

// log q(y) is that of the teacher's row under its cap.
template <class Element, class Loss>
answer call(const Loss& f, const filled_rows& in) {
    return answer_of<Element>(f, in, [](batch<Element>& rows) { rows.teacher_log_probs = {}; });
}

// One of each kind: sums over the vocabulary with and without a moment, a term fitted to its row, single tokens, the teacher's
// argmax, the normaliser, a temperature of its own.
template <class Visitor>
void for_each_objective(const Visitor& visit) {
    visit("forward_kl", forward_kl{});
    visit("adaptive_kl", adaptive_kl{});
    visit("entropy", entropy{});
    visit("several", 0.5 * reverse_kl{} + tgpo{.coefficient = 0.1} + 0.2 * kl_estimator{} + 0.1 * z_loss{} +
                         at_temperature(temperature{1.5}, 0.3 * cross_entropy{}));
}

constexpr soft_cap caps[] = {soft_cap{2.0}, soft_cap{30.0, 5.0}, soft_cap{3.0, 0.0}, soft_cap{0.0, 4.0}};

template <class Element, class Backend, class ForEachObjective>
void agrees_with_capped_logits(const Backend& backend, double allowed, const ForEachObjective& for_each) {
    auto random = engine("soft caps");
    for (const soft_cap& c : caps)
        for (const temperature& t : {temperature{1.0}, temperature{2.0, 0.7}}) {
            CAPTURE(c.student);
            CAPTURE(c.teacher);
            filled_rows in = random_rows(random, 3, 37, 2.5, t);
            in.student[5] = in.student[40] = in.teacher[9] = minus_infinity;
            filled_rows after = in;
            after.student = capped(in.student, c.student);
            after.teacher = capped(in.teacher, c.teacher);
            const std::vector<double> factors = slopes(in.student, c.student);
            for_each([&](const std::string& name, const auto& objective) {
                CAPTURE(name);
                const answer found = call<Element>(loss{objective, backend, token_mean{}, t, c}, in);
                answer expected = call<double>(loss{objective, reference{}, token_mean{}, t}, after);
                for (std::size_t i = 0; i < factors.size(); ++i) expected.gradient[i] *= factors[i];
                CHECK(deviation(found.result.value, expected.result.value) <= allowed);
                CHECK(deviation(found.row_losses, expected.row_losses) <= allowed);
                CHECK(deviation(found.gradient, expected.gradient) <= allowed);
                for (std::size_t i = 0; i < factors.size(); ++i)
                    if (factors[i] == 0.0) CHECK(found.gradient[i] == 0.0);
            });
        }
}

TEST_CASE("a soft-capped loss is that of capped logits, its gradient times 1 - tanh^2, in double") {
    agrees_with_capped_logits<double>(reference{}, tolerance::rounding,
                                      [](const auto& visit) { for_each_objective(visit); });
}

TEST_CASE("a soft-capped loss is that of capped logits, its gradient times 1 - tanh^2, in float") {
    agrees_with_capped_logits<float>(eigen{}, tolerance::single_loss, [](const auto& visit) {
        visit("a term fitted to its row", adaptive_kl{});
        visit("a sum", 0.5 * forward_kl{} + 0.1 * cross_entropy{});
    });
}

TEST_CASE("the gradient of a soft-capped loss is its difference quotient") {
    auto random = engine("soft caps: differences");
    filled_rows in = random_rows(random, 2, 7);
    const loss f{reverse_kl{} + 0.3 * policy_gradient{} + 0.1 * z_loss{}, reference{}, token_mean{}, temperature{1.3},
                 soft_cap{2.5, 4.0}};
    const answer found = call<double>(f, in);
    constexpr double h = 1e-3;
    for (std::size_t i = 0; i < in.student.size(); ++i) {
        const double z = in.student[i];
        const auto value_at = [&](double x) {
            in.student[i] = x;
            return call<double>(f, in).result.value;
        };
        const double quotient =
            (8.0 * (value_at(z + h) - value_at(z - h)) - (value_at(z + 2.0 * h) - value_at(z - 2.0 * h))) / (12.0 * h);
        in.student[i] = z;
        CHECK(deviation(found.gradient[i], quotient) <= tolerance::finite_difference);
    }
}

TEST_CASE("without a cap on either side a soft-capped loss has the bits of one that was given none") {
    auto random = engine("soft caps: none");
    const filled_rows in = random_rows(random, 3, 50);
    const auto objective = reverse_kl{} + 0.1 * cross_entropy{};
    const answer without = call<float>(loss{objective, eigen{}, token_mean{}, temperature{2.0}}, in);
    const answer none = call<float>(loss{objective, eigen{}, token_mean{}, temperature{2.0}, soft_cap{}}, in);
    // Two functions: reordering makes them differ by rounding.
    constexpr double allowed = tolerance::reordering > 1.0 ? tolerance::single_loss : 0.0;
    CHECK(deviation(none.result.value, without.result.value) <= allowed);
    CHECK(deviation(none.gradient, without.gradient) <= allowed);
}

TEST_CASE("under a cap a row with NaN or infinity is NaN, as without, and disturbs no other") {
    auto random = engine("soft caps: not finite");
    const filled_rows good = random_rows(random, 3, 20);
    const loss f{0.5 * forward_kl{} + 0.1 * cross_entropy{}, eigen{}, token_mean{}, {}, soft_cap{5.0}};
    const answer expected = call<float>(f, good);
    for (const double strange : {quiet_nan(), -minus_infinity}) {
        filled_rows in = good;
        in.student_row(1)[7] = strange;
        const answer found = call<float>(f, in);
        CHECK(found.result.nonfinite_rows == 1);
        CHECK(!is_finite(found.row_losses[1]));
        CHECK(found.row_losses[2] == expected.row_losses[2]);
    }
}

TEST_CASE("a cap bounds every finite logit, however large; one of -2^100 or less is masked") {
    for (const double large : {0x1p100, 3e38}) {
        const filled_rows in{
            .rows = 1, .vocabulary = 4, .student = {large, 0.0, 29.0, -large}, .teacher = {1.0, large, 1.0, -large}};
        filled_rows after = in;
        after.student = capped(in.student, 30.0);
        after.teacher = capped(in.teacher, 30.0);
        after.student[3] = after.teacher[3] = minus_infinity;
        const double expected = call<double>(loss{forward_kl{}, reference{}, token_sum{}}, after).result.value;
        const soft_cap cap{30.0};
        CHECK(deviation(call<double>(loss{forward_kl{}, reference{}, token_sum{}, {}, cap}, in).result.value, expected) <=
              tolerance::rounding);
        CHECK(deviation(call<double>(loss{forward_kl{}, eigen{}, token_sum{}, {}, cap}, in).result.value, expected) <=
              tolerance::rounding);
        CHECK(deviation(call<float>(loss{forward_kl{}, eigen{}, token_sum{}, {}, cap}, in).result.value, expected) <=
              tolerance::single_loss);
    }
}

TEST_CASE("under a cap the gradient may be written over the logits, or added to what is there") {
    auto random = engine("soft caps: places");
    const filled_rows in = random_rows(random, 2, 33);
    const loss f{0.5 * forward_kl{} + 0.1 * cross_entropy{}, eigen{}, token_mean{}, {}, soft_cap{3.0}};
    const answer expected = call<float>(f, in);
    const std::vector<float> student = stored<float>(in.student), teacher = stored<float>(in.teacher);
    std::vector<float> over = student, added(student.size(), 0.0f);
    const auto view = [&](std::vector<float>& of) { return logits_view<float>{of.data(), in.rows, in.vocabulary}; };
    const auto rows_of = [&](const std::vector<float>& z) {
        return batch<float>{.student = {z.data(), in.rows, in.vocabulary},
                            .teacher = {teacher.data(), in.rows, in.vocabulary},
                            .labels = in.labels};
    };
    f(rows_of(over), view(over));
    f(rows_of(student), accumulate(view(added)));
    CHECK(widened(over) == expected.gradient);
    CHECK(deviation(widened(added), expected.gradient) <= tolerance::single_loss);
}

TEST_CASE("a diagnosis beside a soft-capped loss is that of the capped logits") {
    auto random = engine("soft caps: diagnosis");
    const filled_rows in = random_rows(random, 2, 60, 4.0);
    filled_rows after = in;
    after.student = capped(in.student, 3.0);
    after.teacher = capped(in.teacher, 5.0);
    const auto diagnosed = [](const filled_rows& logits, const auto& f) {
        std::vector<double> gradient(logits.student.size());
        std::vector<row_diagnosis> rows(logits.rows);
        const batch<double> b{.student = {logits.student.data(), logits.rows, logits.vocabulary},
                              .teacher = {logits.teacher.data(), logits.rows, logits.vocabulary},
                              .tokens = logits.tokens};
        diagnose(f, b, {gradient.data(), logits.rows, logits.vocabulary}, rows);
        return rows;
    };
    const auto found = diagnosed(in, loss{forward_kl{}, reference{}, token_mean{}, {}, soft_cap{3.0, 5.0}});
    const auto expected = diagnosed(after, loss{forward_kl{}, reference{}, token_mean{}});
    for (std::size_t row = 0; row < in.rows; ++row) {
        CHECK(deviation(found[row].reverse_kl, expected[row].reverse_kl) <= tolerance::rounding);
        CHECK(deviation(found[row].token_log_p, expected[row].token_log_p) <= tolerance::rounding);
        CHECK(deviation(found[row].teacher_mass[0], expected[row].teacher_mass[0]) <= tolerance::rounding);
        CHECK(found[row].teacher_top == expected[row].teacher_top);
    }
}

}  // namespace
}  // namespace distill_test
