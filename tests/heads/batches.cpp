// Reductions, sets of tokens, rows that are not finite, empty batches; what is added to and what is left out.
#include "heads.hpp"

#include <doctest/doctest.h>

namespace heads {
namespace {

using distill_test::deviation;
using distill_test::tolerance::rounding;

constexpr shape of{.rows = 100, .vocabulary = 37, .width = 5, .teacher_width = 8};

template <class Loss>
struct call {
    Loss loss;
    distill::through_heads<Loss, distill::eigen_product<>> f{loss, distill::eigen_product{}, distill::rows_at_once{64}};

    explicit call(Loss l) : loss(std::move(l)) {}

    // The student's head alone.
    distill::loss_result operator()(stored_problem<double>& s, const distill::batch<double>& in) const {
        std::vector<std::byte> memory(f.workspace_bytes(s.student()));
        return f(s.student(), in, s.gradients(), memory);
    }
};

template <class Loss>
void check_against_whole(const problem& p, const Loss& loss, const distill::batch<double>& fields) {
    auto in = fields;
    in.student = {p.fields.student.data(), of.rows, of.vocabulary};
    std::vector<double> g(p.fields.student.size());
    const auto expected = loss(in, {g.data(), of.rows, of.vocabulary});
    const plain_gradients gradients = multiplied_back(p, g);
    stored_problem<double> s(p);
    const auto found = call{loss}(s, fields);
    CHECK(expected.value != 0.0);
    CHECK(deviation(found.value, expected.value) < rounding);
    CHECK(found.denominator == expected.denominator);
    CHECK(deviation(s.hidden_gradient, gradients.hidden) < rounding);
    CHECK(deviation(s.weight_gradient, gradients.weight) < rounding);
    CHECK(deviation(s.bias_gradient, gradients.bias) < rounding);
}

// What another reduction makes of a row's weight.
template <class Reduction>
void check_reduction(const char* name, const Reduction& reduction) {
    CAPTURE(name);
    const problem p = make_problem(name, of);
    check_against_whole(p, distill::loss{distill::cross_entropy{}, distill::reference{}, reduction}, p.batch<double>());
}

}  // namespace

TEST_CASE("every reduction weighs rows as in the whole batch") {
    check_reduction("token_mean", distill::token_mean{});
    check_reduction("token_mean of another denominator", distill::token_mean{17.0});
    check_reduction("token_sum", distill::token_sum{});
    check_reduction("sequence_mean", distill::sequence_mean{});
    check_reduction("sequence_mean_of_sums", distill::sequence_mean_of_sums{});
    check_reduction("normalized_by", distill::normalized_by{3.0});
}

TEST_CASE("the teacher's most probable tokens, temperatures and coefficients are those of the row") {
    const problem p = make_problem("sets", of);
    constexpr std::size_t k = 3;
    std::vector<std::int64_t> ids;
    std::vector<double> log_probs, temperatures, coefficients;
    for (std::size_t i = 0; i < of.rows; ++i) {
        for (std::size_t n = 0; n < k; ++n) {
            ids.push_back(static_cast<std::int64_t>((i * 7 + n * 5) % of.vocabulary));
            log_probs.push_back(std::log(0.1 + 0.2 * static_cast<double>(n) * static_cast<double>(i % 3) / 3.0));
        }
        temperatures.push_back(1.0 + 0.01 * static_cast<double>(i));
        coefficients.push_back(static_cast<double>(i % 4) - 1.0);
    }
    auto in = p.batch<double>();
    in.top_tokens = ids;
    in.top_log_probs = log_probs;
    in.temperatures = temperatures;
    in.coefficients = coefficients;
    using namespace distill;
    check_against_whole(p, loss{on_top_tokens{reverse_kl{}} + per_row(cross_entropy{}), reference{}, token_mean{}}, in);
}

TEST_CASE("a row that is not finite is counted, and makes its own row of the hidden states' gradient NaN") {
    problem p = make_problem("not finite", of);
    p.hidden[20 * of.width] = distill_test::minus_infinity;
    stored_problem<double> s(p);
    const auto found =
        call{distill::loss{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}}}(s, p.batch<double>());
    CHECK(found.nonfinite_rows == 1);
    CHECK(distill::is_nan(found.value));
    for (std::size_t i = 0; i < s.hidden_gradient.size(); ++i)
        CHECK(distill::is_nan(s.hidden_gradient[i]) == (i / of.width == 20));
}

TEST_CASE("without active rows, or rows, gradients are zeros and the loss is 0") {
    problem p = make_problem("nothing", of);
    p.fields.weights.assign(of.rows, 0.0);
    for (const std::size_t rows : {of.rows, std::size_t{0}}) {
        stored_problem<double> s(p);
        for (auto* g : {&s.hidden_gradient, &s.weight_gradient, &s.bias_gradient}) std::fill(g->begin(), g->end(), 7.0);
        auto student = s.student();
        auto gradients = s.gradients();
        student.hidden.rows = gradients.hidden.view.rows = static_cast<std::ptrdiff_t>(rows);
        const distill::through_heads f{
            distill::loss{distill::cross_entropy{}, distill::reference{}, distill::sequence_mean{}},
            distill::eigen_product{}};
        std::vector<std::byte> memory(f.workspace_bytes(student));
        const auto in = rows == 0 ? distill::batch<double>{} : p.batch<double>();
        const auto found = f(student, in, gradients, memory);
        CHECK(found.value == 0.0);
        CHECK(found.denominator == 0.0);
        CHECK(found.active_rows == 0);
        CHECK(distill_test::all_zero(s.weight_gradient));
        CHECK(distill_test::all_zero(s.bias_gradient));
        if (rows > 0) CHECK(distill_test::all_zero(s.hidden_gradient));
    }
}

TEST_CASE("accumulating adds, and leaves masked rows as they were; what is absent is left out") {
    const problem p = make_problem("accumulate", of);
    const call f{distill::loss{distill::cross_entropy{}, distill::reference{}, distill::token_mean{}}};
    stored_problem<double> plain(p), added(p), alone(p);
    f(plain, p.batch<double>());
    for (auto* g : {&added.hidden_gradient, &added.weight_gradient, &added.bias_gradient})
        std::fill(g->begin(), g->end(), 0.5);
    std::vector<std::byte> memory(f.f.workspace_bytes(added.student()));
    auto gradients = added.gradients();
    gradients.hidden.adds = true;
    gradients.weight = distill::accumulate(gradients.weight.view);
    gradients.bias = distill::accumulate(gradients.bias.view);
    f.f(added.student(), p.batch<double>(), gradients, memory);
    for (std::size_t i = 0; i < plain.hidden_gradient.size(); ++i) {
        const bool masked = (i / of.width) % 5 == 3 || (i / of.width) % 11 == 7;
        CHECK(deviation(added.hidden_gradient[i], plain.hidden_gradient[i] + 0.5) < rounding);
        if (masked) CHECK(added.hidden_gradient[i] == 0.5);
    }
    for (std::size_t i = 0; i < plain.weight_gradient.size(); ++i)
        CHECK(deviation(added.weight_gradient[i], plain.weight_gradient[i] + 0.5) < rounding);
    for (std::size_t i = 0; i < plain.bias_gradient.size(); ++i)
        CHECK(deviation(added.bias_gradient[i], plain.bias_gradient[i] + 0.5) < rounding);

    // Two halves of the rows, added up, are the whole.
    const problem first = p;
    f.f(alone.student(), p.batch<double>(), {.bias = alone.bias_gradient}, memory);
    CHECK(same_bits(alone.bias_gradient, plain.bias_gradient));
    CHECK(distill_test::all_zero(alone.weight_gradient));
    CHECK(distill_test::all_zero(alone.hidden_gradient));
}

TEST_CASE("strides are the matrices' own, and their padding is neither read nor written") {
    const problem p = make_problem("strides", of);
    const call f{distill::loss{distill::cross_entropy{}, distill::reference{}, distill::token_mean{}}};
    stored_problem<double> plain(p);
    const auto expected = f(plain, p.batch<double>());
    const auto padded = [](const std::vector<double>& dense, std::size_t columns, std::size_t stride) {
        std::vector<double> wide(dense.size() / columns * stride, std::nan(""));
        for (std::size_t i = 0; i < dense.size(); ++i) wide[i / columns * stride + i % columns] = dense[i];
        return wide;
    };
    const auto hidden = padded(plain.hidden, of.width, 9), weight = padded(plain.weight, of.width, 7);
    auto dh = padded(plain.hidden, of.width, 11), dw = padded(plain.weight, of.width, 6);
    const distill::linear_head<double> student{.hidden = {hidden.data(), of.rows, of.width, 9},
                                               .weight = {weight.data(), of.vocabulary, of.width, 7},
                                               .bias = p.bias};
    std::vector<std::byte> memory(f.f.workspace_bytes(student));
    const auto found =
        f.f(student, p.batch<double>(),
            {.hidden = {dh.data(), of.rows, of.width, 11}, .weight = {dw.data(), of.vocabulary, of.width, 6}}, memory);
    CHECK(same_bits(found, expected));
    CHECK(same_bits(dh, padded(plain.hidden_gradient, of.width, 11)));
    CHECK(same_bits(dw, padded(plain.weight_gradient, of.width, 6)));
}

}  // namespace heads
