// Masked vocabulary, masked rows, a detached teacher, extreme logits.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace distill_test {
namespace {

const double not_a_number = distill::quiet_nan();

// Rows whose entries at `masked` are -infinity; no token of any row is one of them.
filled_rows with_masked_entries(filled_rows in, bool student, bool teacher, const std::vector<std::size_t>& masked) {
    for (std::size_t row = 0; row < in.rows; ++row) {
        for (const std::size_t v : masked) {
            if (student) in.student_row(row)[v] = minus_infinity;
            if (teacher) in.teacher_row(row)[v] = minus_infinity;
        }
        for (auto* tokens : {&in.tokens, &in.teacher_tokens, &in.labels})
            while (std::count(masked.begin(), masked.end(), static_cast<std::size_t>((*tokens)[row])) > 0) --(*tokens)[row];
    }
    return in;
}

// The same rows without the entries.
filled_rows with_entries_removed(const filled_rows& in, const std::vector<std::size_t>& removed) {
    filled_rows kept = in;
    kept.vocabulary -= removed.size();
    kept.student.clear(), kept.teacher.clear();
    for (std::size_t row = 0; row < in.rows; ++row) {
        for (std::size_t v = 0; v < in.vocabulary; ++v)
            if (std::count(removed.begin(), removed.end(), v) == 0) {
                kept.student.push_back(in.student_row(row)[v]);
                kept.teacher.push_back(in.teacher_row(row)[v]);
            }
        for (auto* tokens : {&kept.tokens, &kept.teacher_tokens, &kept.labels}) {
            const auto token = static_cast<std::size_t>((*tokens)[row]);
            (*tokens)[row] -= std::count_if(removed.begin(), removed.end(), [&](std::size_t v) { return v < token; });
        }
    }
    return kept;
}

const std::vector<std::size_t> masked_entries = {3, 4, 17, 30};  // neither first nor all in one vector register

TEST_CASE("entries masked in student and teacher are as good as absent, and their gradient is exactly zero") {
    auto random = engine("laws: masked in both");
    for (const auto& t : {distill::temperature(1.0), distill::temperature(2.0, 0.7), distill::temperature(0.7, 2.0)}) {
        const filled_rows in = with_masked_entries(random_rows(random, 3, 31, 1.5, t), true, true, masked_entries);
        const filled_rows kept = with_entries_removed(in, masked_entries);
        for (const subject& s : subjects()) {
            CAPTURE(s.name);
            CAPTURE(t.student);
            const answer found = s.on_reference(in, {.temperature = t}), expected = s.on_reference(kept, {.temperature = t});
            CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::rounding);
            std::vector<double> on_kept;
            for (std::size_t i = 0; i < found.gradient.size(); ++i)
                if (distill::is_finite(in.student[i])) on_kept.push_back(found.gradient[i]);
            CHECK(deviation(on_kept, expected.gradient) <= tolerance::rounding);

            for (const evaluator& f : s.everywhere()) {
                const answer any = f(in, {.temperature = t});
                CHECK(any.result.nonfinite_rows == 0);
                CHECK(all_finite(any.row_losses));
                CHECK(all_finite(any.gradient));
                bool zero = true;
                for (std::size_t i = 0; i < any.gradient.size(); ++i)
                    zero = zero && (distill::is_finite(in.student[i]) || any.gradient[i] == 0.0);
                CHECK(zero);
            }
            CHECK(norm_error(s.on_eigen(in, {.temperature = t}).gradient, found.gradient) <= tolerance::single_gradient);
        }
    }
}

TEST_CASE("entries masked on one side give finite losses and gradients, on every backend alike") {
    auto random = engine("laws: masked on one side");
    for (const bool student : {true, false}) {
        const filled_rows in = with_masked_entries(random_rows(random, 3, 31), student, !student, masked_entries);
        for (const subject& s : subjects()) {
            CAPTURE(s.name);
            CAPTURE(student);
            const answer expected = s.on_reference(in, {});
            for (const evaluator& f : s.everywhere()) {
                const answer found = f(in, {});
                CHECK(found.result.nonfinite_rows == 0);
                CHECK(all_finite(found.row_losses));
                CHECK(all_finite(found.gradient));
            }
            const answer found = s.on_eigen(in, {});
            for (std::size_t row = 0; row < in.rows; ++row)
                CHECK(relative_error(found.row_losses[row], expected.row_losses[row]) <= tolerance::single_loss);
            CHECK(norm_error(found.gradient, expected.gradient) <= tolerance::single_gradient);
        }
    }
}

TEST_CASE("a token that is masked in the student costs much and stays finite") {
    auto random = engine("laws: masked token");
    filled_rows in = random_rows(random, 2, 31);
    for (std::size_t row = 0; row < in.rows; ++row) {
        in.student_row(row)[5] = minus_infinity;
        in.tokens[row] = in.teacher_tokens[row] = in.labels[row] = 5;
    }
    for (const subject& s : subjects()) {
        CAPTURE(s.name);
        for (const evaluator& f : s.everywhere()) {
            const answer found = f(in, {});
            CHECK(found.result.nonfinite_rows == 0);
            CHECK(all_finite(found.row_losses));
            CHECK(all_finite(found.gradient));
        }
    }
}

TEST_CASE("what a masked row holds changes nothing, to the bit") {
    auto random = engine("laws: masked rows");
    filled_rows in = random_rows(random, 5, 29);
    in.weights = {1.0, 0.0, 0.5, 0.0, 2.0};
    for (const subject& s : subjects()) {
        CAPTURE(s.name);
        for (const evaluator& f : s.everywhere()) {
            const answer expected = f(in, {});
            for (const double filling : {not_a_number, minus_infinity, 3.0}) {
                filled_rows perturbed = in;
                for (const std::size_t row : {1u, 3u}) {
                    std::fill_n(perturbed.student_row(row), in.vocabulary, filling);
                    std::fill_n(perturbed.teacher_row(row), in.vocabulary, filling);
                    perturbed.tokens[row] = perturbed.teacher_tokens[row] = -7;
                    perturbed.advantages[row] = perturbed.old_log_probs[row] = filling;
                }
                const answer found = f(perturbed, {});
                CHECK(found.result.value == expected.result.value);
                CHECK(found.row_losses == expected.row_losses);
                CHECK(found.gradient == expected.gradient);
                CHECK(found.row_losses[1] == 0.0);
                CHECK(std::all_of(found.gradient.begin() + 29, found.gradient.begin() + 58,
                                  [](double g) { return g == 0.0; }));
            }
        }
    }
}

TEST_CASE("an objective that has no use for the teacher gives the same answer with any teacher") {
    auto random = engine("laws: teacher not read");
    const filled_rows in = random_rows(random, 3, 29);
    filled_rows other = in;
    other.teacher = normal(random, in.teacher.size(), 5.0);
    std::size_t without_teacher = 0;
    for (const subject& s : subjects()) {
        if (s.reads_teacher()) continue;
        ++without_teacher;
        CAPTURE(s.name);
        CHECK(s.on_reference(other, {}).gradient == s.on_reference(in, {}).gradient);
        if (s.kind == nature::token || s.kind == nature::normalizer)
            CHECK(s.on_eigen(other, {}).gradient == s.on_eigen(in, {}).gradient);
    }
    // All but the two token terms that look at the whole teacher, and two sums over the vocabulary.
    CHECK(without_teacher == std::tuple_size_v<decltype(token_catalogue())> - 2 + 2);
}

TEST_CASE("logits of any finite size give finite results, and in float the right ones") {
    auto random = engine("laws: extreme logits");
    const auto extreme_rows = [&](double size) {
        filled_rows in = random_rows(random, 8, 40);
        std::uniform_int_distribution<int> choice(0, 3);
        for (auto* logits : {&in.student, &in.teacher})
            for (double& x : *logits) {
                const int chosen = choice(random);
                x = chosen == 0 ? size : chosen == 1 ? -size : chosen == 2 ? 0.5 * size : x;
            }
        for (std::size_t v = 0; v < in.vocabulary; ++v) {
            in.student_row(6)[v] = -size, in.teacher_row(6)[v] = size;
            in.student_row(7)[v] = v == 0 ? size : -size, in.teacher_row(7)[v] = v == 1 ? size : -size;
        }
        for (auto* logits : {&in.student, &in.teacher}) *logits = widened(stored<float>(*logits));
        return in;
    };
    const filled_rows large = extreme_rows(1e4), larger = extreme_rows(6e4);
    for (const subject& s : subjects()) {
        CAPTURE(s.name);
        for (const auto& t : {distill::temperature(1.0), distill::temperature(0.1), distill::temperature(2.0, 0.5)}) {
            const answer expected = s.on_reference(large, {.temperature = t});
            const answer found = s.on_eigen(large, {.temperature = t});
            std::vector<answer> all = {expected, found, s.on_eigen(larger, {.temperature = t})};
            if (s.on_eigen_half) all.push_back(s.on_eigen_half(larger, {.temperature = t}));
            if (s.on_eigen_bfloat16) all.push_back(s.on_eigen_bfloat16(larger, {.temperature = t}));
            for (const answer& any : all) {
                CHECK(any.result.nonfinite_rows == 0);
                CHECK(all_finite(any.row_losses));
                CHECK(all_finite(any.gradient));
            }
            for (std::size_t row = 0; row < large.rows; ++row)
                CHECK(deviation(found.row_losses[row], expected.row_losses[row]) <= tolerance::single_loss);
        }
    }
}

}  // namespace
}  // namespace distill_test
