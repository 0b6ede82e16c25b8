// Terms of the teacher's most probable tokens: what they keep of the whole divergence, and what they do outside the set.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

using blind = top_forward_kl<truncation::blind_to_mass_outside>;
using truncated = top_forward_kl<truncation::teacher_truncated>;
using renormalized = top_forward_kl<truncation::teacher_renormalized>;

struct top_rows {
    std::size_t k = 0;
    std::vector<std::int64_t> tokens{};
    std::vector<double> log_probs{};
};

// The k most probable tokens of every row of the teacher, in an order that is not theirs.
top_rows top_of(const filled_rows& in, std::size_t k, const temperature& t = {}) {
    top_rows top{.k = k};
    for (std::size_t row = 0; row < in.rows; ++row) {
        const auto log_q = log_softmax(in.teacher_row(row), in.vocabulary, t.teacher);
        std::vector<std::size_t> order(in.vocabulary);
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return log_q[a] > log_q[b]; });
        std::reverse(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k));
        for (std::size_t i = 0; i < k; ++i) {
            top.tokens.push_back(static_cast<std::int64_t>(order[i]));
            top.log_probs.push_back(log_q[order[i]]);
        }
    }
    return top;
}

template <class Element, class Objective, class Backend>
answer call(const Objective& objective, const Backend& backend, const filled_rows& in, const top_rows& top,
            const temperature& t = {}) {
    return answer_of<Element>(loss{objective, backend, token_sum{}, t}, in, [&](batch<Element>& rows) {
        rows.top_tokens = top.tokens;
        rows.top_log_probs = top.log_probs;
    });
}

template <class Visitor>
void for_each_term(const Visitor& visit) {
    visit("on_top_tokens forward_kl", on_top_tokens{forward_kl{}});
    visit("on_top_tokens reverse_kl", on_top_tokens{reverse_kl{}});
    visit("on_top_tokens jensen_shannon", on_top_tokens{jensen_shannon{0.3}});
    visit("on_top_tokens of a user's value", on_top_tokens{user_jeffreys{}});
    visit("teacher renormalised", renormalized{});
    visit("teacher truncated", truncated{});
    visit("blind to mass outside", blind{});
    visit("beside a sum over the vocabulary", 0.5 * on_top_tokens{reverse_kl{}} + 0.3 * forward_kl{} + teacher_guidance{});
}

void agree(const answer& found, const answer& expected, double allowed = tolerance::rounding) {
    CHECK(deviation(found.row_losses, expected.row_losses) <= allowed);
    CHECK(deviation(found.gradient, expected.gradient) <= allowed);
}

TEST_CASE("top tokens: the gradient is the difference quotient of the loss, and sums to zero") {
    auto random = engine("laws: top tokens");
    for (const temperature& t : {temperature(1.0), temperature(2.0, 0.7)}) {
        const filled_rows in = random_rows(random, 2, 9, 1.5, t);
        top_rows top = top_of(in, 4, t);
        top.tokens[2] = ignored_label;  // a row that has fewer
        for_each_term([&](const char* name, const auto& term) {
            CAPTURE(name);
            const answer found = call<double>(term, reference{}, in, top, t);
            double largest = 0.0;
            for (std::size_t i = 0; i < in.student.size(); ++i) {
                const auto at = [&](double step) {
                    filled_rows moved = in;
                    moved.student[i] += step;
                    return call<double>(term, reference{}, moved, top, t).result.value;
                };
                const double slope = (8.0 * (at(1e-3) - at(-1e-3)) - (at(2e-3) - at(-2e-3))) / 12e-3;
                largest = std::max(largest, deviation(found.gradient[i], slope));
            }
            CHECK(largest <= tolerance::finite_difference);
            CHECK(std::abs(std::accumulate(found.gradient.begin(), found.gradient.end(), 0.0)) <= tolerance::rounding);
        });
    }
}

TEST_CASE("with the whole vocabulary in the set every form is the divergence itself") {
    auto random = engine("laws: all tokens");
    const filled_rows in = random_rows(random, 3, 12);
    const top_rows all = top_of(in, 12);
    const answer forward = named("forward_kl").on_reference(in, {});
    agree(call<double>(renormalized{}, reference{}, in, all), forward);
    agree(call<double>(truncated{}, reference{}, in, all), forward);
    agree(call<double>(blind{}, reference{}, in, all), forward);
    agree(call<double>(on_top_tokens{forward_kl{}}, reference{}, in, all), forward);
    agree(call<double>(on_top_tokens{reverse_kl{}}, reference{}, in, all), named("reverse_kl").on_reference(in, {}));
    agree(call<double>(on_top_tokens{jensen_shannon{}}, reference{}, in, all),
          named("jensen_shannon 0.5").on_reference(in, {}));
}

TEST_CASE("with one token in the set, renormalising the teacher is guidance, and renormalising both teaches nothing") {
    auto random = engine("laws: one top token");
    filled_rows in = random_rows(random, 3, 12);
    const top_rows one = top_of(in, 1);
    in.teacher_tokens = one.tokens;
    agree(call<double>(renormalized{}, reference{}, in, one), call<double>(teacher_guidance{}, reference{}, in, one));
    const answer nothing = call<double>(blind{}, reference{}, in, one);
    CHECK(deviation(nothing.row_losses, std::vector<double>(3, 0.0)) <= tolerance::rounding);
    CHECK(deviation(nothing.gradient, std::vector<double>(36, 0.0)) <= tolerance::rounding);
}

TEST_CASE("the two renormalised forms differ by -log p(S), the truncated one descends q(S) p - q 1_S") {
    auto random = engine("laws: forms of top tokens");
    const filled_rows in = random_rows(random, 4, 30);
    const top_rows top = top_of(in, 5);
    const answer a = call<double>(renormalized{}, reference{}, in, top), b = call<double>(blind{}, reference{}, in, top);
    const answer c = call<double>(truncated{}, reference{}, in, top);
    for (std::size_t row = 0; row < in.rows; ++row) {
        const auto log_p = log_softmax(in.student_row(row), in.vocabulary);
        double student = 0.0, teacher = 0.0;
        std::vector<double> expected(in.vocabulary, 0.0);
        for (std::size_t i = row * top.k; i < (row + 1) * top.k; ++i) {
            const auto v = static_cast<std::size_t>(top.tokens[i]);
            student += std::exp(log_p[v]);
            teacher += std::exp(top.log_probs[i]);
            expected[v] -= std::exp(top.log_probs[i]);
        }
        CHECK(deviation(a.row_losses[row] - b.row_losses[row], -std::log(student)) <= tolerance::rounding);
        for (std::size_t v = 0; v < in.vocabulary; ++v)
            CHECK(deviation(c.gradient[row * in.vocabulary + v], expected[v] + teacher * std::exp(log_p[v])) <=
                  tolerance::rounding);
    }
}

TEST_CASE("a tail bucket keeps a lower bound of the divergence that is never negative and grows with the set") {
    auto random = engine("laws: tail bucket");
    const filled_rows in = random_rows(random, 6, 40, 2.0);
    const answer forward = named("forward_kl").on_reference(in, {}), reverse = named("reverse_kl").on_reference(in, {});
    std::vector<double> last_forward(in.rows, 0.0), last_reverse(in.rows, 0.0);
    for (const std::size_t k : {1u, 2u, 8u, 20u, 39u}) {
        const answer f = call<double>(on_top_tokens{forward_kl{}}, reference{}, in, top_of(in, k));
        const answer r = call<double>(on_top_tokens{reverse_kl{}}, reference{}, in, top_of(in, k));
        for (std::size_t row = 0; row < in.rows; ++row) {
            CHECK(f.row_losses[row] >= last_forward[row] - 1e-12);
            CHECK(r.row_losses[row] >= last_reverse[row] - 1e-12);
            CHECK(f.row_losses[row] <= forward.row_losses[row] + 1e-12);
            CHECK(r.row_losses[row] <= reverse.row_losses[row] + 1e-12);
        }
        last_forward = f.row_losses, last_reverse = r.row_losses;
    }
}

TEST_CASE(
    "where the student has no mass on the set, the tail bucket and the renormalised teacher pull it in; both renormalised "
    "do not") {
    auto random = engine("laws: mass outside");
    filled_rows in = random_rows(random, 1, 50, 0.5);
    const top_rows top = top_of(in, 3);
    for (const std::int64_t token : top.tokens) in.student[static_cast<std::size_t>(token)] -= 14.0;
    const auto pull = [&](const auto& term) {
        const answer found = call<double>(term, reference{}, in, top);
        double on_set = 0.0;
        for (const std::int64_t token : top.tokens) on_set += found.gradient[static_cast<std::size_t>(token)];
        return on_set;
    };
    double teacher = 0.0;
    for (const double log_q : top.log_probs) teacher += std::exp(log_q);
    CHECK(pull(renormalized{}) < -0.99);
    CHECK(pull(on_top_tokens{forward_kl{}}) < -0.99 * teacher);
    CHECK(std::abs(pull(blind{})) <= tolerance::rounding);
}

TEST_CASE("a student without mass outside the set is pulled towards the rest by no more than its own probability") {
    for (int shape = 0; shape < 400; ++shape) {
        CAPTURE(shape);
        filled_rows in{
            .rows = 1, .vocabulary = 7, .student = std::vector<double>(7, -1e4), .teacher = std::vector<double>(7)};
        in.student[3] = 0.01 * (shape % 20) - 0.8, in.student[6] = 0.37, in.student[1] = 0.03 * (shape / 20);
        in.student = widened(stored<float>(in.student));
        const top_rows top{.k = 3, .tokens = {3, 6, 1}, .log_probs = {-17.0, -12.0, -19.0}};
        const double p = std::exp(log_softmax(in.student_row(0), in.vocabulary)[3]);
        // The teacher has all its mass outside: dz is p with the rest's derivative, 0 with the rest held constant.
        const double dz = call<float>(on_top_tokens{forward_kl{}}, eigen{instruction_set::baseline}, in, top).gradient[3];
        CHECK(dz >= -1e-3 * p);
        CHECK(dz <= (1.0 + 1e-3) * p);
    }
}

TEST_CASE("top tokens in float agree with double") {
    auto random = engine("laws: top tokens in float");
    filled_rows in = random_rows(random, 3, 5000, 2.5);
    in.student = widened(stored<float>(in.student));
    const top_rows top = top_of(in, 100);
    // One type for all of them.
    for (int chosen = 0; chosen < 5; ++chosen) {
        CAPTURE(chosen);
        const auto c = [&](int i) { return i == chosen ? 1.0 : 0.0; };
        const auto term = c(0) * on_top_tokens{forward_kl{}} + c(1) * on_top_tokens{jensen_shannon{}} +
                          c(2) * renormalized{} + c(3) * truncated{} + c(4) * blind{} + c(4) * forward_kl{};
        const answer expected = call<double>(term, reference{}, in, top), found = call<float>(term, eigen{}, in, top);
        for (std::size_t row = 0; row < in.rows; ++row)
            CHECK(deviation(found.row_losses[row], expected.row_losses[row]) <= tolerance::single_loss);
        CHECK(norm_error(found.gradient, expected.gradient) <= tolerance::single_gradient);
    }
}

}  // namespace
}  // namespace distill_test
