// Infinities and NaN among the logits and the rows' own numbers.
#include <conformance/example.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace conformance {

namespace {

// Three full tiles and a tail for every register width.
constexpr std::ptrdiff_t long_row = 2048 * 3 + 13;

struct poison {
    std::string name;
    float value;
};
const std::vector<poison>& poisons() {
    static const std::vector<poison> all = {
        {"NaN", positive_nan}, {"NaN of negative sign", negative_nan}, {"+infinity", plus_infinity}};
    return all;
}

// Row `row` alone is NaN; all others are what they are in `clean`.
void check_one_row_is_nan(const outcome& found, const outcome& clean, std::ptrdiff_t row) {
    CHECK(is_nan(found.result.value));
    CHECK(found.result.nonfinite_rows == 1);
    CHECK(found.result.active_rows == clean.result.active_rows);
    CHECK(found.result.denominator == clean.result.denominator);
    for (std::ptrdiff_t r = 0; r < found.gradient.rows; ++r) {
        if (r == row) {
            CHECK(all_nan(found.gradient.row(r)));
            CHECK(is_nan(found.row_losses[static_cast<std::size_t>(r)]));
        } else {
            CHECK(same_row(found, clean, r));
        }
    }
    CHECK(padding_is_untouched(found.gradient));
}

}  // namespace

TEST_CASE("NaN and +infinity in the student make their own row NaN and no other") {
    for_each_loss([](objective o, const backend& b) {
        for (const std::ptrdiff_t vocabulary : {std::ptrdiff_t{1}, std::ptrdiff_t{19}, long_row}) {
            const example clean = make_example("poisoned student", 3, vocabulary, {2, 1});
            const outcome expected = run(*make_loss(o, b), clean.batch(), 3);
            for (const poison& p : poisons())
                for (const std::ptrdiff_t v : {std::ptrdiff_t{0}, vocabulary / 2, vocabulary - 1}) {
                    CAPTURE(p.name);
                    CAPTURE(vocabulary);
                    CAPTURE(v);
                    example e = clean;
                    e.student.at(1, v) = p.value;
                    check_one_row_is_nan(run(*make_loss(o, b), e.batch(), 3), expected, 1);
                    CHECK(is_nan((*make_loss(o, b))(e.batch()).value));
                }
        }
    });
}

TEST_CASE(
    "NaN and +infinity in the teacher make their own row NaN where a term reads the teacher, and matter nowhere else") {
    for_each_loss([](objective o, const backend& b) {
        for (const std::ptrdiff_t vocabulary : {std::ptrdiff_t{19}, long_row}) {
            const example clean = make_example("poisoned teacher", 3, vocabulary, {2, 1});
            const outcome expected = run(*make_loss(o, b), clean.batch(), 3);
            for (const poison& p : poisons())
                for (const std::ptrdiff_t v : {std::ptrdiff_t{0}, vocabulary / 2, vocabulary - 1}) {
                    CAPTURE(p.name);
                    CAPTURE(v);
                    example e = clean;
                    e.teacher.at(1, v) = p.value;
                    const outcome found = run(*make_loss(o, b), e.batch(), 3);
                    if (reads_teacher(o))
                        check_one_row_is_nan(found, expected, 1);
                    else
                        CHECK(same_bits(found, expected));
                }
        }
    });
}

TEST_CASE("the teacher's NaN makes the row NaN where its argmax is asked for") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        example e = make_example("poisoned argmax", 3, 19);
        e.teacher_tokens.clear();
        const outcome expected = run(objective::guidance, b, e);
        e.teacher.at(1, 18) = negative_nan;
        check_one_row_is_nan(run(objective::guidance, b, e), expected, 1);
    }
}

TEST_CASE("a row of nothing but -infinity is NaN and disturbs no other") {
    for_each_loss([](objective o, const backend& b) {
        for (const bool in_teacher : {false, true}) {
            if (in_teacher && !reads_teacher(o)) continue;
            const example clean = make_example("row of -infinity", 3, 37);
            const outcome expected = run(o, b, clean);
            example e = clean;
            std::ranges::fill((in_teacher ? e.teacher : e.student).row(2), minus_infinity);
            check_one_row_is_nan(run(o, b, e), expected, 2);
        }
    });
}

TEST_CASE("a number of the row that is not finite makes its row NaN and no other") {
    for (const objective o : {objective::guidance, objective::surrogate, objective::everything})
        for (const backend& b : backends()) {
            CAPTURE(b.name);
            for (const float bad : {positive_nan, plus_infinity, minus_infinity}) {
                example e = make_example("poisoned advantage", 3, 37);
                e.old_log_probs.assign(3, -3.0);
                const outcome expected = run(o, b, e);
                e.advantages[0] = static_cast<double>(bad);
                check_one_row_is_nan(run(o, b, e), expected, 0);
            }
        }
}

TEST_CASE("accumulating a row that is not finite leaves NaN in that row only") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("accumulated NaN", 3, 37);
        e.student.at(1, 36) = positive_nan;
        matrix gradient = matrix::filled(3, 37, 2, 1.0f);
        (*make_loss(o, b))(e.batch(), accumulate(gradient.view()));
        CHECK(all_finite(gradient.row(0)));
        CHECK(all_nan(gradient.row(1)));
        CHECK(all_finite(gradient.row(2)));
        CHECK(padding_is_untouched(gradient));
    });
}

TEST_CASE("a -infinity logit is a masked entry: the row is that of the vocabulary without it") {
    for_each_loss([](objective o, const backend& b) {
        const std::ptrdiff_t vocabulary = 53;
        const example narrow = make_example("masked vocabulary", 2, vocabulary);
        const outcome expected = run(o, b, narrow);
        // The same row, spread over a vocabulary three times as wide.
        example wide = make_example("wide vocabulary", 2, 3 * vocabulary);
        std::ranges::fill(wide.student.memory, minus_infinity);
        std::ranges::fill(wide.teacher.memory, minus_infinity);
        for (std::ptrdiff_t r = 0; r < 2; ++r)
            for (std::ptrdiff_t v = 0; v < vocabulary; ++v) {
                wide.student.at(r, 3 * v + 1) = narrow.student.at(r, v);
                wide.teacher.at(r, 3 * v + 1) = narrow.teacher.at(r, v);
            }
        for (std::size_t r = 0; r < 2; ++r) {
            wide.tokens[r] = 3 * narrow.tokens[r] + 1;
            wide.teacher_tokens[r] = 3 * narrow.teacher_tokens[r] + 1;
            wide.labels[r] = 3 * narrow.labels[r] + 1;
        }
        wide.advantages = narrow.advantages;
        wide.old_log_probs = narrow.old_log_probs;
        const outcome found = run(o, b, wide);
        CHECK(found.result.nonfinite_rows == 0);
        CHECK(found.result.value == doctest::Approx(expected.result.value).epsilon(1e-5));
        double largest = 0.0;
        bool masked_are_zero = true;
        for (std::ptrdiff_t r = 0; r < 2; ++r)
            for (std::ptrdiff_t v = 0; v < 3 * vocabulary; ++v) {
                const double dz = double{found.gradient.at(r, v)};
                if (v % 3 != 1)
                    masked_are_zero = masked_are_zero && dz == 0.0;
                else
                    largest = std::max(largest, std::abs(dz - double{expected.gradient.at(r, v / 3)}));
            }
        CHECK(masked_are_zero);
        CHECK(largest < 1e-5);
    });
}

TEST_CASE("a masked student entry under a possible teacher token costs about 1e6 times its probability") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        example e = make_example("missing support", 1, 4);
        for (std::ptrdiff_t v = 0; v < 4; ++v) e.student.at(0, v) = e.teacher.at(0, v) = 0.0f;
        e.student.at(0, 2) = minus_infinity;
        const outcome forward = run(objective::forward_kl, b, e);
        CHECK(forward.result.nonfinite_rows == 0);
        CHECK(forward.result.value == doctest::Approx(0.25e6).epsilon(1e-3));
        CHECK(all_finite(forward.gradient.row(0)));
        CHECK(double{forward.gradient.at(0, 2)} == doctest::Approx(-0.25));
        CHECK(double{forward.gradient.at(0, 0)} == doctest::Approx(1.0 / 3 - 0.25));

        const outcome mixed = run(objective::everything, b, e);
        CHECK(mixed.result.nonfinite_rows == 0);
        CHECK(all_finite(mixed.gradient.row(0)));
    }
}

TEST_CASE("a masked teacher entry under a possible student token costs reverse KL about 1e6 times its probability") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        example e = make_example("missing support", 1, 4);
        for (std::ptrdiff_t v = 0; v < 4; ++v) e.student.at(0, v) = e.teacher.at(0, v) = 0.0f;
        e.teacher.at(0, 2) = minus_infinity;
        const outcome reverse = run(objective::everything, b, e);
        CHECK(reverse.result.nonfinite_rows == 0);
        CHECK(reverse.result.value == doctest::Approx(0.5 * 0.25e6).epsilon(1e-3));
        CHECK(all_finite(reverse.gradient.row(0)));
        // Forward KL does not care: q log q - q log p over the other three.
        CHECK(run(objective::forward_kl, b, e).result.value == doctest::Approx(std::log(4.0 / 3.0)).epsilon(1e-5));
    }
}

TEST_CASE("a token that the student cannot say costs about 1e6 and keeps a finite gradient") {
    for (const objective o : {objective::labels, objective::guidance})
        for (const backend& b : backends()) {
            CAPTURE(b.name);
            example e = make_example("masked label", 1, 21);
            e.labels[0] = e.teacher_tokens[0] = 20;
            e.advantages[0] = 0.0;
            e.tokens[0] = 3;
            e.student.at(0, 20) = minus_infinity;
            const outcome found = run(o, b, e);
            CHECK(found.result.value == doctest::Approx(1e6));
            CHECK(found.gradient.at(0, 20) == -1.0f);
            CHECK(all_finite(found.gradient.row(0)));
        }
}

TEST_CASE("logits of magnitude 1e4 and beyond give finite results at every temperature") {
    for_each_loss([](objective o, const backend& b) {
        for (const float magnitude : {1e4f, 1e30f})
            for (const double t : {1e-4, 1.0, 1e4}) {
                CAPTURE(magnitude);
                CAPTURE(t);
                example e = make_example("extreme logits", 4, 67, {}, 1.0);
                for (std::ptrdiff_t v = 0; v < 67; ++v) {
                    e.student.at(0, v) = v % 2 == 0 ? magnitude : -magnitude;
                    e.teacher.at(0, v) = v % 3 == 0 ? magnitude : -magnitude;
                    e.student.at(1, v) = magnitude;
                    e.student.at(2, v) = -magnitude;
                    e.teacher.at(3, v) = v == 66 ? magnitude : -magnitude;
                }
                const outcome found = run(*make_loss(o, b, {}, distill::temperature{t}), e.batch());
                CHECK(found.result.nonfinite_rows == 0);
                CHECK(distill::is_finite(found.result.value));
                CHECK(all_finite(found.gradient.memory));
            }
    });
}

}  // namespace conformance
