// Unreduced row losses, and the counts of the result.
#include <conformance/example.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace conformance {

TEST_CASE("row losses come in float and double, with and without a gradient, and reduce to the loss") {
    for_each_loss([](objective o, const backend& b) {
        constexpr std::ptrdiff_t rows = 6;
        example e = make_example("row losses", rows, 70, {0, 3});
        e.weights = {1.0, 2.0, 0.0, 0.5, 1.0, 1.0};
        const auto f = make_loss(o, b);
        const outcome with_gradient = run(*f, e.batch());
        std::vector<double> wide(rows);
        std::vector<float> narrow(rows), narrow_with_gradient(rows);
        matrix gradient = matrix::filled(rows, 70, 0, sentinel);

        const auto result = f->per_token(e.batch(), std::span(wide));
        const auto narrow_result = f->per_token(e.batch(), std::span(narrow));
        const auto both_result = f->per_token(e.batch(), std::span(narrow_with_gradient), gradient.view());

        CHECK(same_bits(result, (*f)(e.batch())));
        CHECK(same_bits(narrow_result, result));
        CHECK(same_bits(both_result, with_gradient.result));
        CHECK(same_bits(gradient.memory, with_gradient.gradient.memory));
        double weighted = 0.0;
        for (std::size_t r = 0; r < rows; ++r) {
            CHECK(narrow[r] == static_cast<float>(wide[r]));
            CHECK(narrow_with_gradient[r] == static_cast<float>(with_gradient.row_losses[r]));
            CHECK(wide[r] == doctest::Approx(with_gradient.row_losses[r]).epsilon(1e-5));
            weighted += e.weights[r] * wide[r];
        }
        CHECK(result.value == doctest::Approx(weighted / 5.5).epsilon(1e-12));
        CHECK(result.denominator == 5.5);
    });
}

TEST_CASE("a row that is not finite has a NaN row loss in both widths") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("NaN row loss", 3, 9);
        e.student.at(1, 8) = plus_infinity;
        std::vector<float> narrow(3);
        std::vector<double> wide(3);
        make_loss(o, b)->per_token(e.batch(), std::span(narrow));
        make_loss(o, b)->per_token(e.batch(), std::span(wide));
        CHECK(is_nan(narrow[1]));
        CHECK(is_nan(wide[1]));
        CHECK(is_finite(narrow[0]));
        CHECK(is_finite(narrow[2]));
    });
}

TEST_CASE("clipped and guarded rows are counted, masked ones are not") {
    for (const objective o : {objective::guidance, objective::surrogate, objective::everything})
        for (const backend& b : backends()) {
            CAPTURE(b.name);
            // A uniform student over 4 tokens: log p = log 1/4 everywhere.
            constexpr std::ptrdiff_t rows = 6;
            example e = make_example("counts", rows, 4);
            std::ranges::fill(e.student.memory, 0.5f);
            const double log_p = std::log(0.25);
            e.old_log_probs = {log_p, log_p - 1.0, log_p + 1.0, log_p - 30.0, log_p + 30.0, log_p - 1.0};
            e.advantages = {1.0, 1.0, -1.0, -1.0, 1.0, 1.0};
            e.weights[5] = 0.0;
            const auto result = run(o, b, e).result;
            CHECK(result.active_rows == 5);
            CHECK(result.clipped_rows == 2);  // too likely and wanted; too unlikely and unwanted
            CHECK(result.guarded_rows == 2);
            CHECK(result.clip_fraction() == doctest::Approx(0.4));
            CHECK(result.nonfinite_rows == 0);
            CHECK(distill::is_finite(result.value));
        }
}

TEST_CASE("integers and numbers of the rows may be narrow or wide") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("widths", 5, 31);
        e.weights = {1.0, 0.5, 0.0, 2.0, 1.0};
        for (double& a : e.advantages) a = double{static_cast<float>(a)};
        for (double& p : e.old_log_probs) p = double{static_cast<float>(p)};
        const outcome expected = run(o, b, e);
        const auto narrowed = []<class Narrow, class Wide>(const std::vector<Wide>& values, Narrow) {
            std::vector<Narrow> result;
            for (const Wide v : values) result.push_back(static_cast<Narrow>(v));
            return result;
        };
        const auto weights = narrowed(e.weights, 0.0f), advantages = narrowed(e.advantages, 0.0f),
                   old_log_probs = narrowed(e.old_log_probs, 0.0f);
        const auto tokens = narrowed(e.tokens, std::int32_t{}), teacher_tokens = narrowed(e.teacher_tokens, std::int32_t{}),
                   labels = narrowed(e.labels, std::int32_t{});
        auto in = e.batch();
        in.weights = weights;
        in.advantages = advantages;
        in.old_log_probs = old_log_probs;
        in.tokens = tokens;
        in.teacher_tokens = teacher_tokens;
        in.labels = labels;
        CHECK(same_bits(run(*make_loss(o, b), in), expected));
    });
}

}  // namespace conformance
