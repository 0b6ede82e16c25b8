// Masked rows, batches without an active row, batches without a row.
#include <conformance/example.hpp>

#include <conformance/guarded_pages.hpp>
#include <distill/backend/reference.hpp>
#include <distill/composition/distillm.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/sequence_mean.hpp>

#include <doctest/doctest.h>

namespace conformance {

namespace {

constexpr std::ptrdiff_t rows = 5, vocabulary = 37;

// Rows 1 and 3 hold what must not be looked at.
example with_poisoned_rows(const std::string& label) {
    example e = make_example(label, rows, vocabulary, {3, 5});
    for (const std::ptrdiff_t r : {1, 3}) {
        std::ranges::fill(e.student.row(r), r == 1 ? positive_nan : plus_infinity);
        std::ranges::fill(e.teacher.row(r), r == 1 ? minus_infinity : negative_nan);
        const auto i = static_cast<std::size_t>(r);
        e.tokens[i] = -7;
        e.teacher_tokens[i] = vocabulary;
        e.old_log_probs[i] = e.teacher_log_probs[i] = e.advantages[i] = distill::quiet_nan();
    }
    return e;
}

void check_masked(const outcome& found, std::ptrdiff_t row) {
    CHECK(all_zero(found.gradient.row(row)));
    CHECK(same_bits(found.row_losses[static_cast<std::size_t>(row)], 0.0));
}

}  // namespace

TEST_CASE("a row of weight 0 has exactly zero loss and gradient whatever it contains") {
    for_each_loss([](objective o, const backend& b) {
        example e = with_poisoned_rows("weight 0");
        e.weights[1] = e.weights[3] = 0.0;
        e.labels[3] = 1 << 20;
        const outcome found = run(o, b, e);
        check_masked(found, 1);
        check_masked(found, 3);
        CHECK(found.result.active_rows == 3);
        CHECK(found.result.denominator == 3.0);
        CHECK(found.result.nonfinite_rows == 0);
        CHECK(distill::is_finite(found.result.value));
        CHECK(all_finite(found.gradient.row(0)));
    });
}

TEST_CASE("a row whose label is ignored is masked, whether a term reads labels or not") {
    for_each_loss([](objective o, const backend& b) {
        example e = with_poisoned_rows("ignored label");
        e.labels[1] = e.labels[3] = distill::ignored_label;
        const outcome found = run(o, b, e);
        check_masked(found, 1);
        check_masked(found, 3);
        CHECK(found.result.active_rows == 3);
        CHECK(found.result.denominator == 3.0);
        CHECK(found.result.nonfinite_rows == 0);
        CHECK(all_finite(found.gradient.row(0)));
    });
}

TEST_CASE("an ignored label and a weight of 0 are one mask") {
    for_each_loss([](objective o, const backend& b) {
        example by_label = make_example("one mask", rows, vocabulary), by_weight = by_label;
        by_label.labels[1] = by_label.labels[4] = distill::ignored_label;
        by_weight.weights[1] = by_weight.weights[4] = 0.0;
        CHECK(same_bits(run(o, b, by_label), run(o, b, by_weight)));
    });
}

TEST_CASE("a mask of labels does not depend on the coefficient of the term that reads them") {
    example e = with_poisoned_rows("mask and coefficient");
    e.labels[1] = e.labels[3] = distill::ignored_label;
    for (const double ratio : {0.0, 0.5, 1.0}) {
        CAPTURE(ratio);
        const distill::loss f{distill::distillm{ratio}, distill::reference{}, distill::token_mean{}};
        const auto found = f(e.batch());
        CHECK(found.active_rows == 3);
        CHECK(found.nonfinite_rows == 0);
    }
}

TEST_CASE("an active row does not feel that others are masked") {
    for_each_loss([](objective o, const backend& b) {
        const example whole = make_example("weight 0", rows, vocabulary, {3, 5});
        example e = with_poisoned_rows("weight 0");
        e.weights[1] = e.weights[3] = 0.0;
        const auto f = make_loss(o, b, distill::token_mean{4.0});
        const outcome expected = run(*f, whole.batch()), found = run(*f, e.batch());
        for (const std::ptrdiff_t r : {0, 2, 4}) CHECK(same_row(found, expected, r));
    });
}

TEST_CASE("the logits of a masked row are not read") {
    const auto length = pages::length<float>();
    for_each_loss([&](objective o, const backend& b) {
        example e = make_example("forbidden row", 3, length);
        pages student(3), teacher(3);
        std::ranges::copy(e.student.memory, student.begin<float>(0));
        std::ranges::copy(e.teacher.memory, teacher.begin<float>(0));
        e.weights[1] = 0.0;
        const outcome expected = run(o, b, e);
        student.forbid(1);
        teacher.forbid(1);
        auto in = e.batch();
        in.student = {student.begin<float>(0), 3, length};
        in.teacher = {teacher.begin<float>(0), 3, length};
        CHECK(same_bits(run(*make_loss(o, b), in), expected));
    });
}

TEST_CASE("a batch without an active row has loss 0, gradient 0 and denominator 0") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("no active row", rows, vocabulary);
        for (float& x : e.student.memory) x = positive_nan;
        e.weights.assign(rows, 0.0);
        for (const distill::token_mean& reduction : {distill::token_mean{}, distill::token_mean{17.0}}) {
            const outcome found = run(*make_loss(o, b, reduction), e.batch());
            CHECK(same_bits(found.result.value, 0.0));
            CHECK(found.result.denominator == 0.0);
            CHECK(found.result.active_rows == 0);
            CHECK(found.result.clip_fraction() == 0.0);
            CHECK(all_zero(found.gradient.memory));
            CHECK(all_zero(found.row_losses));
        }
    });
}

TEST_CASE("a batch without rows has loss 0 and denominator 0 and needs no field") {
    for_each_loss([](objective o, const backend& b) {
        const auto f = make_loss(o, b);
        distill::batch<float> shaped;
        shaped.student = {static_cast<const float*>(nullptr), 0, vocabulary};
        for (const distill::batch<float>& in : {shaped, distill::batch<float>{}})
            for (const distill::loss_result& r : {(*f)(in), run(*f, in).result}) {
                CHECK(same_bits(r.value, 0.0));
                CHECK(r.denominator == 0.0);
                CHECK(r.active_rows == 0);
                CHECK(r.nonfinite_rows == 0);
            }
    });
}

TEST_CASE("a weight scales its row's share of loss and gradient, not its row loss") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("weights", rows, vocabulary);
        const auto f = make_loss(o, b, distill::token_mean{8.0});
        const outcome plain = run(*f, e.batch());
        e.weights = {1.0, 0.5, 4.0, 0.25, 2.0};  // powers of two: the products are exact
        const outcome weighted = run(*f, e.batch());
        double expected = 0.0;
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            const double weight = e.weights[static_cast<std::size_t>(r)],
                         loss = plain.row_losses[static_cast<std::size_t>(r)];
            CHECK(same_bits(weighted.row_losses[static_cast<std::size_t>(r)], loss));
            expected += weight * loss / 8.0;
            bool exact = true;
            for (std::ptrdiff_t v = 0; v < vocabulary; ++v)
                exact = exact && weighted.gradient.at(r, v) == static_cast<float>(weight) * plain.gradient.at(r, v);
            CHECK(exact);
        }
        CHECK(weighted.result.value == doctest::Approx(expected).epsilon(1e-12));
    });
}

TEST_CASE("a row whose weight vanishes in its sequence's mean is active all the same") {
    example e = make_example("vanishing weight", 3, 20);
    e.weights = {1e300, 1e-300, 1e300};
    std::ranges::fill(e.student.row(1), positive_nan);
    const std::vector<std::int64_t> offsets{0, 3};
    auto in = e.batch();
    in.sequence_offsets = offsets;
    const distill::loss f{distill::forward_kl{}, distill::reference{}, distill::sequence_mean{}};
    matrix gradient = matrix::filled(3, 20, 0, sentinel);
    const auto found = f(in, gradient.view());
    CHECK(found.active_rows == 3);
    CHECK(found.nonfinite_rows == 1);
    CHECK(all_nan(gradient.row(1)));
}

}  // namespace conformance
