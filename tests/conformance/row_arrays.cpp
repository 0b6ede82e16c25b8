// Temperatures and coefficients of each row's own.
#include <conformance/example.hpp>

#include <distill/distill.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace conformance {
namespace {

using namespace distill;

constexpr std::ptrdiff_t rows = 5, vocabulary = 37;

// Loss and gradient of one row by itself.
template <class Objective, class Backend>
outcome alone(const Objective& o, const Backend& b, const example& e, std::ptrdiff_t row, const temperature& t) {
    example one = make_example("unused", 1, vocabulary);
    std::ranges::copy(e.student.row(row), one.student.row(0).begin());
    std::ranges::copy(e.teacher.row(row), one.teacher.row(0).begin());
    const auto i = static_cast<std::size_t>(row);
    one.tokens = {e.tokens[i]}, one.teacher_tokens = {e.teacher_tokens[i]}, one.labels = {e.labels[i]};
    one.old_log_probs = {e.old_log_probs[i]}, one.teacher_log_probs = {e.teacher_log_probs[i]};
    one.advantages = {e.advantages[i]};
    const loss f{o, b, token_sum{}, t};
    outcome found{.result = {}, .row_losses = {0.0}, .gradient = matrix::filled(1, vocabulary, 0, sentinel)};
    found.result = f.per_token(one.batch(), std::span(found.row_losses), found.gradient.view());
    return found;
}

template <class Objective, class Backend>
outcome together(const Objective& o, const Backend& b, const batch<float>& in, const temperature& t) {
    const loss f{o, b, token_sum{}, t};
    outcome found{
        .result = {}, .row_losses = std::vector<double>(rows), .gradient = matrix::filled(rows, vocabulary, 0, sentinel)};
    found.result = f.per_token(in, std::span(found.row_losses), found.gradient.view());
    return found;
}

bool same(const outcome& all, std::ptrdiff_t row, const outcome& one) {
    return same_bits(all.row_losses[static_cast<std::size_t>(row)], one.row_losses[0]) &&
           same_bits(all.gradient.row(row), one.gradient.row(0));
}

template <class Test>
void on_each_backend(const Test& test) {
    test(reference{});
    test(eigen{});
}

}  // namespace

TEST_CASE("a row's temperature multiplies the loss's, student's and teacher's, as if the row were called at it") {
    const example e = make_example("row temperatures", rows, vocabulary);
    const std::vector<double> of_row{1.0, 0.5, 2.0, 4.0, 0.25};
    auto in = e.batch();
    in.temperatures = of_row;
    const auto o = reverse_kl{} + 0.3 * cross_entropy{};
    on_each_backend([&](const auto& backend) {
        for (const temperature& t : {temperature{}, temperature{2.0, 0.5}}) {
            const outcome found = together(o, backend, in, t);
            for (std::ptrdiff_t row = 0; row < rows; ++row) {
                const double factor = of_row[static_cast<std::size_t>(row)];
                CHECK(same(found, row, alone(o, backend, e, row, {t.student * factor, t.teacher * factor})));
            }
        }
    });
}

TEST_CASE("a part at a temperature of its own has no row temperatures") {
    const example e = make_example("own temperature", rows, vocabulary);
    const std::vector<float> of_row{1.0f, 0.5f, 2.0f, 4.0f, 0.25f};
    auto in = e.batch();
    in.temperatures = of_row;
    const auto o = at_temperature(temperature{1.5}, forward_kl{} + cross_entropy{});
    on_each_backend(
        [&](const auto& backend) { CHECK(same_bits(together(o, backend, in, {}), together(o, backend, e.batch(), {}))); });
}

TEST_CASE("row temperatures outside the domain are refused, those of masked rows not looked at") {
    const example e = make_example("row temperatures refused", rows, vocabulary);
    std::vector<double> of_row(rows, 1.0), weights(rows, 1.0);
    auto in = e.batch();
    in.temperatures = of_row;
    in.weights = weights;
    const loss f{forward_kl{}, reference{}, token_mean{}, temperature{2.0}};
    for (const double bad : {0.0, -1.0, 1e-6, 6e3, quiet_nan()}) {
        of_row[3] = bad;
        weights[3] = 1.0;
        std::string message;
        try {
            f(in);
        } catch (const invalid_input& error) {
            message = error.what();
        }
        CHECK(message == "distill: batch.temperatures[3] is " + detail::sentence({bad}) +
                             ", expected a number that, times the loss's temperature 2, lies in [1e-4, 1e4]");
        weights[3] = 0.0;
        CHECK(f(in).active_rows == rows - 1);
    }
}

TEST_CASE("per_row multiplies a part of the objective by the row's coefficient, value and gradient") {
    const example e = make_example("row coefficients", rows, vocabulary);
    const std::vector<double> c{1.0, 0.0, -2.0, 0.25, 3.0};
    auto in = e.batch();
    in.coefficients = c;
    const auto marked = 0.5 * reverse_kl{} + 0.3 * teacher_guidance{};
    on_each_backend([&](const auto& backend) {
        const outcome found = together(cross_entropy{} + 2.0 * per_row(marked), backend, in, temperature{1.5});
        for (std::ptrdiff_t row = 0; row < rows; ++row) {
            const double factor = c[static_cast<std::size_t>(row)];
            CHECK(same(found, row, alone(cross_entropy{} + 2.0 * factor * marked, backend, e, row, temperature{1.5})));
        }
    });
}

TEST_CASE("where a row's coefficient is 0 its guidance does not read the teacher") {
    example e = make_example("gated guidance", rows, vocabulary);
    std::ranges::fill(e.teacher.row(1), positive_nan);
    std::vector<double> c{1.0, 0.0, 1.0, 1.0, 1.0};
    auto in = e.batch();
    in.teacher_tokens = {};
    in.coefficients = c;
    on_each_backend([&](const auto& backend) {
        const auto o = cross_entropy{} + per_row(teacher_guidance{});
        CHECK(together(o, backend, in, {}).result.nonfinite_rows == 0);
        c[1] = 1.0;
        CHECK(together(o, backend, in, {}).result.nonfinite_rows == 1);
        c[1] = 0.0;
    });
}

TEST_CASE("a coefficient that is not finite makes its own row NaN and no other") {
    const example e = make_example("coefficient of NaN", rows, vocabulary);
    std::vector<double> c(rows, 1.0);
    auto in = e.batch();
    in.coefficients = c;
    on_each_backend([&](const auto& backend) {
        c[2] = 1.0;
        const outcome expected = together(per_row(reverse_kl{}), backend, in, {});
        c[2] = quiet_nan();
        const outcome found = together(per_row(reverse_kl{}), backend, in, {});
        CHECK(found.result.nonfinite_rows == 1);
        CHECK(all_nan(found.gradient.row(2)));
        for (const std::ptrdiff_t row : {0, 1, 3, 4}) CHECK(same_row(found, expected, row));
        // Where nothing is marked, nobody reads it.
        CHECK(together(reverse_kl{}, backend, in, {}).result.nonfinite_rows == 0);
    });
}

TEST_CASE("a number of the row that a term reads and that is not finite makes its own row NaN and no other") {
    // One type for all of them: a term of coefficient 0 asks for nothing.
    const auto term = [](int chosen) {
        const auto c = [&](int i) { return i == chosen ? 1.0 : 0.0; };
        return c(0) * policy_gradient{} + c(1) * clipped_surrogate{} + c(2) * clipped_importance{} +
               c(3) * kl_estimator<>{} + c(4) * log_ratio_advantage<>{} + c(5) * power_advantage<>{} +
               c(6) * mixture_advantage<importance::ratio>{};
    };
    const auto hold = [&](int chosen, auto field, bool log_probability) {
        const auto o = term(chosen);
        const example e = make_example("numbers of rows", rows, vocabulary);
        on_each_backend([&](const auto& backend) {
            std::vector<double> numbers(rows, -1.5);
            auto in = e.batch();
            in.*field = numbers;
            const outcome expected = together(o, backend, in, {});
            CHECK(expected.result.nonfinite_rows == 0);
            for (const float bad : {positive_nan, negative_nan, plus_infinity, minus_infinity}) {
                CAPTURE(bad);
                numbers[2] = static_cast<double>(bad);
                const outcome found = together(o, backend, in, {});
                const bool impossible_token = log_probability && same_bits(double{bad}, double{minus_infinity});
                CHECK(found.result.nonfinite_rows == (impossible_token ? 0 : 1));
                CHECK((impossible_token ? all_finite(found.gradient.row(2)) : all_nan(found.gradient.row(2))));
                for (const std::ptrdiff_t row : {0, 1, 3, 4}) CHECK(same_row(found, expected, row));
                numbers[2] = -1.5;
            }
        });
    };
    using in = batch<float>;
    hold(0, &in::advantages, false);
    hold(1, &in::advantages, false);
    hold(1, &in::old_log_probs, true);
    hold(2, &in::old_log_probs, true);
    hold(3, &in::teacher_log_probs, true);
    hold(4, &in::teacher_log_probs, true);
    hold(5, &in::teacher_log_probs, true);
    hold(6, &in::old_log_probs, true);
}

TEST_CASE("a sequence's log-ratio that is not finite makes its own row NaN and no other") {
    const example e = make_example("sequence ratios", rows, vocabulary);
    on_each_backend([&](const auto& backend) {
        std::vector<double> ratios(rows, 0.0);
        auto in = e.batch();
        in.sequence_log_ratios = ratios;
        const outcome expected = together(sequence_surrogate{}, backend, in, {});
        ratios[1] = quiet_nan();
        const outcome found = together(sequence_surrogate{}, backend, in, {});
        CHECK(found.result.nonfinite_rows == 1);
        CHECK(all_nan(found.gradient.row(1)));
        for (const std::ptrdiff_t row : {0, 2, 3, 4}) CHECK(same_row(found, expected, row));
    });
}

}  // namespace conformance
