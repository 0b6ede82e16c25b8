// The contracts of a call, on the CUDA backend: shapes, places, masks, rows that are not finite, reductions, determinism.
#include "on_device.hpp"

#include <algorithm>

namespace distill_test {
namespace {

using namespace distill;

const double nan_logit = quiet_nan();

TEST_CASE("every vocabulary, from one entry to those of language models") {
    auto random = engine("cuda: vocabularies");
    for (const std::size_t vocabulary : {1u, 2u, 31u, 32u, 33u, 127u, 1000u, 1003u, 4096u, 32000u, 151936u}) {
        CAPTURE(vocabulary);
        const filled_rows in = stored_rows<float>(random_rows(random, vocabulary > 10000 ? 1 : 3, vocabulary));
        agree(on_device<float>(mixed_objective, token_mean{}, in), on_reference(mixed_objective, token_mean{}, in));
    }
}

// Rows of 20 000 entries: long enough for blocks to share, where there are few.
filled_rows long_rows(const char* name, std::size_t rows) {
    auto random = engine(name);
    return stored_rows<float>(random_rows(random, rows, 20000));
}

TEST_CASE("few long rows are shared by blocks, with the reference's results, in place and added to what is there") {
    for (const std::size_t rows : {1u, 2u}) {
        CAPTURE(rows);
        const filled_rows in = long_rows("cuda: few rows", rows);
        const device_answer found = on_device<float>(mixed_objective, token_mean{}, in);
        agree(found, on_reference(mixed_objective, token_mean{}, in));
        const device_answer again = on_device<float>(mixed_objective, token_mean{}, in),
                            in_place = on_device<float>(mixed_objective, token_mean{}, in, {.in_place = true});
        CHECK(again.result.value == found.result.value);
        CHECK(again.gradient == found.gradient);
        CHECK(in_place.result.value == found.result.value);
        CHECK(in_place.gradient == found.gradient);
        agree(on_device<float>(mixed_objective, token_mean{}, in, {.logits = {3, 1}, .adds = true}),
              on_reference(mixed_objective, token_mean{}, in, {.adds = true}));
    }
}

TEST_CASE("terms that look at a row as a whole share it too") {
    const filled_rows in = long_rows("cuda: few rows as a whole", 1);
    const auto whole = adaptive_kl{} + where(student_entropy_above{2.0}, reverse_kl{});
    agree(on_device<float>(whole, token_mean{}, in), on_reference(whole, token_mean{}, in));
}

TEST_CASE("a shared row that is not finite, or not readable, is NaN as a whole") {
    const filled_rows good = long_rows("cuda: few rows not finite", 2);
    const auto nan_from = [](const device_answer& found, std::size_t begin, std::size_t end) {
        return std::all_of(found.gradient.begin() + static_cast<std::ptrdiff_t>(begin),
                           found.gradient.begin() + static_cast<std::ptrdiff_t>(end),
                           [](double x) { return !is_finite(x); });
    };
    filled_rows in = good;
    in.student_row(1)[19999] = nan_logit;
    const device_answer strange = on_device<float>(mixed_objective, token_mean{}, in);
    CHECK(strange.result.nonfinite_rows == 1);
    CHECK(nan_from(strange, 20000, 40000));
    CHECK(strange.row_losses[0] == on_device<float>(mixed_objective, token_mean{}, good).row_losses[0]);
    in = good;
    in.tokens[0] = 20000;
    const device_answer unreadable = on_device<float>(mixed_objective, token_mean{}, in);
    CHECK(unreadable.result.nonfinite_rows == 1);
    CHECK(nan_from(unreadable, 0, 20000));
    in = good;
    in.weights = {0.0, 1.0};
    std::vector<double> of_masked = on_device<float>(mixed_objective, token_mean{}, in).gradient;
    of_masked.resize(20000);
    CHECK(all_zero(of_masked));
}

TEST_CASE("rows that are not shared have the bits of the row alone; a device without cooperative launches shares none") {
    const filled_rows six = long_rows("cuda: rows not shared", 6);
    filled_rows one = six;
    one.rows = 1;
    for (auto* values : {&one.student, &one.teacher}) values->resize(20000);
    for (auto* values :
         {&one.weights, &one.old_log_probs, &one.teacher_log_probs, &one.advantages, &one.sequence_log_ratios})
        values->resize(1);
    for (auto* values : {&one.tokens, &one.teacher_tokens, &one.labels}) values->resize(1);
    const cuda shares_none{.shares_rows = false};
    const device_answer among = on_device<float>(mixed_objective, token_sum{}, six, {}, no_soft_cap{}, shares_none),
                        alone = on_device<float>(mixed_objective, token_sum{}, one, {}, no_soft_cap{}, shares_none);
    CHECK(alone.row_losses[0] == among.row_losses[0]);
    CHECK(std::equal(alone.gradient.begin(), alone.gradient.end(), among.gradient.begin()));
#ifdef DISTILL_CUDA_EMULATION
    cuda_emulation::device.cooperative_launch = 0;
    const device_answer without = on_device<float>(mixed_objective, token_sum{}, one);
    cuda_emulation::device.cooperative_launch = 1;
    CHECK(without.row_losses == alone.row_losses);
    CHECK(without.gradient == alone.gradient);
#endif
}

TEST_CASE("many short rows, several in a block, are those of the reference") {
    auto random = engine("cuda: short rows");
    filled_rows in = stored_rows<float>(random_rows(random, 45, 100));
    in.weights[7] = in.weights[44] = 0.0;
    in.student_row(20)[99] = nan_logit;
    const device_answer found = on_device<float>(mixed_objective, token_mean{}, in);
    CHECK(found.result.nonfinite_rows == 1);
    in.weights[20] = 0.0;
    const device_answer expected = on_reference(mixed_objective, token_sum{}, in);
    for (std::size_t row = 0; row < in.rows; ++row)
        if (row != 20)
            CHECK(std::abs(found.row_losses[row] - expected.row_losses[row]) <=
                  tolerance::single_loss * (1.0 + std::abs(expected.row_losses[row])));
    agree(on_device<float>(mixed_objective, token_mean{}, in), on_reference(mixed_objective, token_mean{}, in));
}

TEST_CASE("rows at any address and stride; padding is left alone") {
    auto random = engine("cuda: places");
    const filled_rows in = stored_rows<float>(random_rows(random, 3, 130));
    const device_answer expected = on_reference(mixed_objective, token_mean{}, in);
    for (const placement logits : {placement{0, 1}, placement{1, 0}, placement{2, 3}, placement{6, 0}})
        for (const placement gradient : {placement{0, 0}, placement{3, 1}, placement{2, 2}})
            agree(on_device<float>(mixed_objective, token_mean{}, in, {.logits = logits, .gradient = gradient}), expected);
}

TEST_CASE("padding is zeroed on request, of a row that cannot be read too") {
    auto random = engine("cuda: padding");
    filled_rows in = stored_rows<float>(random_rows(random, 4, 50));
    in.weights[1] = 0.0;
    in.student_row(2)[3] = quiet_nan();
    in.tokens[3] = 50;
    const device_answer found =
        on_device<float>(mixed_objective, token_mean{}, in, {.gradient = {5, 2}, .zeroes_padding = true});
    CHECK(found.padding_as_asked);
    CHECK(found.result.nonfinite_rows == 2);
}

TEST_CASE("in place has the bits of elsewhere; accumulated is added to what is there") {
    auto random = engine("cuda: destinations");
    const filled_rows in = stored_rows<float>(random_rows(random, 3, 77));
    const device_answer elsewhere = on_device<float>(mixed_objective, token_mean{}, in),
                        in_place = on_device<float>(mixed_objective, token_mean{}, in, {.in_place = true});
    CHECK(in_place.gradient == elsewhere.gradient);
    CHECK(in_place.result.value == elsewhere.result.value);
    agree(on_device<float>(mixed_objective, token_mean{}, in, {.adds = true}),
          on_reference(mixed_objective, token_mean{}, in, {.adds = true}));
}

TEST_CASE("masked entries have no probability, masked rows no loss whatever they hold") {
    auto random = engine("cuda: masks");
    filled_rows in = stored_rows<float>(random_rows(random, 4, 90));
    in.tokens = in.teacher_tokens = {1, 2, 3, 4};
    in.student_row(0)[5] = in.teacher_row(0)[5] = minus_infinity;
    in.student_row(2)[80] = in.teacher_row(2)[81] = minus_infinity;
    in.weights = {1.0, 0.0, 2.0, 1.0};
    const device_answer expected = on_reference(mixed_objective, token_mean{}, in);
    for (std::size_t v = 0; v < in.vocabulary; ++v) in.student_row(1)[v] = nan_logit;
    in.tokens[1] = -5;
    const device_answer found = on_device<float>(mixed_objective, token_mean{}, in);
    agree(found, expected);
    CHECK(found.gradient[5] == 0.0);
    for (std::size_t v = 0; v < in.vocabulary; ++v) CHECK(found.gradient[in.vocabulary + v] == 0.0);
}

TEST_CASE("an ignored label masks its row whatever it holds, whether a term reads labels or not") {
    auto random = engine("cuda: masks by label");
    filled_rows in = stored_rows<float>(random_rows(random, 4, 90));
    in.labels[1] = in.labels[3] = ignored_label;
    const auto holds = [&](const auto& objective) {
        const device_answer expected = on_reference(objective, sequence_mean{}, in, {.sequence_offsets = {0, 2, 4}});
        filled_rows poisoned = in;
        for (std::size_t v = 0; v < in.vocabulary; ++v) poisoned.student_row(1)[v] = nan_logit;
        poisoned.tokens[3] = 90;
        const device_answer found = on_device<float>(objective, sequence_mean{}, poisoned, {.sequence_offsets = {0, 2, 4}});
        agree(found, expected);
        CHECK(found.result.active_rows == 2);
        for (std::size_t v = 0; v < in.vocabulary; ++v) CHECK(found.gradient[in.vocabulary + v] == 0.0);
    };
    holds(mixed_objective);
    holds(mixed_objective + 0.1 * cross_entropy{});
}

TEST_CASE("a row that is not finite is NaN and counted, and disturbs no other") {
    auto random = engine("cuda: not finite");
    const filled_rows good = stored_rows<float>(random_rows(random, 3, 90));
    const device_answer expected = on_device<float>(mixed_objective, token_mean{}, good);
    for (const double strange : {nan_logit, -minus_infinity}) {
        filled_rows in = good;
        in.student_row(1)[33] = strange;
        const device_answer found = on_device<float>(mixed_objective, token_mean{}, in);
        CHECK(found.result.nonfinite_rows == 1);
        CHECK(!is_finite(found.result.value));
        CHECK(!is_finite(found.row_losses[1]));
        for (std::size_t v = 0; v < in.vocabulary; ++v) {
            CHECK(!is_finite(found.gradient[in.vocabulary + v]));
            CHECK(found.gradient[v] == expected.gradient[v]);
            CHECK(found.gradient[2 * in.vocabulary + v] == expected.gradient[2 * in.vocabulary + v]);
        }
    }
}

TEST_CASE("what only the device can see makes its row NaN and is counted") {
    auto random = engine("cuda: seen by the device");
    const filled_rows good = stored_rows<float>(random_rows(random, 3, 40));
    const auto nonfinite = [&](const auto& change) {
        filled_rows in = good;
        change(in);
        const device_answer found = on_device<float>(mixed_objective, token_mean{}, in);
        CHECK(!is_finite(found.row_losses[1]));
        CHECK(!is_finite(found.gradient[in.vocabulary]));
        CHECK(is_finite(found.row_losses[0]));
        return found.result.nonfinite_rows;
    };
    CHECK(nonfinite([](filled_rows& in) { in.tokens[1] = 40; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.tokens[1] = -1; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.teacher_tokens[1] = 1000000; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.labels[1] = 40; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.weights[1] = -1.0; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.advantages[1] = quiet_nan(); }) == 1);
    // Offsets out of order say nothing of any row.
    const device_answer found = on_device<float>(forward_kl{}, sequence_mean{}, good, {.sequence_offsets = {0, 3, 2, 3}});
    CHECK(found.result.nonfinite_rows == 3);
    CHECK(!is_finite(found.result.value));
}

TEST_CASE("every reduction has the reference's weights and denominator") {
    auto random = engine("cuda: reductions");
    filled_rows in = stored_rows<float>(random_rows(random, 9, 50));
    in.weights = {1.0, 0.5, 0.0, 2.0, 0.0, 0.0, 1.0, 1.0, 3.0};
    // Sequences of 2, 2 (half masked), 2 (masked), 0 and 3 rows.
    const device_call_options options{.sequence_offsets = {0, 2, 4, 6, 6, 9}};
    const auto holds = [&](const auto& reduction) {
        agree(on_device<float>(forward_kl{}, reduction, in, options), on_reference(forward_kl{}, reduction, in, options));
    };
    holds(token_mean{});
    holds(token_mean{17.0});
    holds(token_sum{});
    holds(sequence_mean{});
    holds(sequence_mean_of_sums{});
    holds(sequence_mean_of_sums{4.0});
    holds(normalized_by{64.0});
}

TEST_CASE("no rows, and no active row: loss 0, denominator 0") {
    filled_rows none{.rows = 0, .vocabulary = 10};
    CHECK(on_device<float>(forward_kl{}, token_mean{}, none).result.value == 0.0);
    auto random = engine("cuda: nothing active");
    filled_rows in = stored_rows<float>(random_rows(random, 2, 10));
    in.weights = {0.0, 0.0};
    const device_answer found = on_device<float>(forward_kl{}, token_mean{}, in);
    CHECK(found.result.value == 0.0);
    CHECK(found.result.denominator == 0.0);
    CHECK(all_zero(found.gradient));
}

TEST_CASE("the same input gives the same bits, alone and among other rows") {
    auto random = engine("cuda: determinism");
    const filled_rows in = stored_rows<float>(random_rows(random, 6, 700));
    const device_answer first = on_device<float>(mixed_objective, token_sum{}, in),
                        again = on_device<float>(mixed_objective, token_sum{}, in);
    CHECK(first.result.value == again.result.value);
    CHECK(first.gradient == again.gradient);
    filled_rows alone = in;
    alone.rows = 1;
    alone.student.resize(700), alone.teacher.resize(700);
    for (auto* values :
         {&alone.weights, &alone.old_log_probs, &alone.teacher_log_probs, &alone.advantages, &alone.sequence_log_ratios})
        values->resize(1);
    for (auto* values : {&alone.tokens, &alone.teacher_tokens, &alone.labels}) values->resize(1);
    const device_answer one = on_device<float>(mixed_objective, token_sum{}, alone);
    CHECK(one.row_losses[0] == first.row_losses[0]);
    CHECK(std::equal(one.gradient.begin(), one.gradient.end(), first.gradient.begin()));
}

}  // namespace
}  // namespace distill_test
