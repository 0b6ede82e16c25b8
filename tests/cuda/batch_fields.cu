// What a row brings beside its logits, on the CUDA backend: temperatures, coefficients, gates, sets of tokens; and soft caps.
#include "on_device.hpp"

#include <cstdint>

namespace distill_test {
namespace {

using namespace distill;

TEST_CASE("temperatures, and separate ones, are those of the reference") {
    auto random = engine("cuda: temperatures");
    for (const temperature& t : {temperature{2.0}, temperature{0.7, 1.8}}) {
        const device_call_options options{.temperature = t};
        const filled_rows in = stored_rows<float>(random_rows(random, 3, 65, 1.5, t));
        agree(on_device<float>(mixed_objective, token_mean{}, in, options),
              on_reference(mixed_objective, token_mean{}, in, options));
    }
}

TEST_CASE("every row's own temperature and coefficient are those of the reference; one out of range makes its row NaN") {
    auto random = engine("cuda: arrays");
    const filled_rows in = stored_rows<float>(random_rows(random, 4, 65));
    const auto mixed = per_row(0.5 * reverse_kl{}) + 0.2 * cross_entropy{};
    device_call_options options{.temperatures = {1.0, 0.5, 3.0, 1.7}, .coefficients = {1.0, 0.0, -2.0, 0.3}};
    agree(on_device<float>(mixed, token_mean{}, in, options), on_reference(mixed, token_mean{}, in, options));
    options.temperatures[2] = 0.0;
    const device_answer found = on_device<float>(mixed, token_mean{}, in, options);
    CHECK(found.result.nonfinite_rows == 1);
    CHECK(!is_finite(found.row_losses[2]));
}

TEST_CASE("soft caps are those of the reference") {
    auto random = engine("cuda: soft caps");
    const filled_rows in = stored_rows<float>(random_rows(random, 3, 65, 4.0));
    const auto capped = 0.5 * reverse_kl{} + 0.3 * forward_kl{} + 0.1 * cross_entropy{};
    for (const soft_cap& caps : {soft_cap{3.0}, soft_cap{30.0, 5.0}, soft_cap{3.0, 0.0}})
        agree(on_device<float>(capped, token_mean{}, in, {}, caps), on_reference(capped, token_mean{}, in, {}, caps));
}

TEST_CASE("a gate inside the call opens and closes the reference's rows") {
    auto random = engine("cuda: gates");
    filled_rows in = stored_rows<float>(random_rows(random, 4, 65));
    for (std::size_t v = 0; v < in.vocabulary; ++v) in.student_row(1)[v] *= 8.0, in.teacher_row(2)[v] *= 8.0;
    in = stored_rows<float>(in);
    const auto gated =
        where(student_entropy_above{2.0}, forward_kl{}) + where(teacher_entropy_above{2.0}, teacher_guidance{});
    const device_answer expected = on_reference(gated, token_mean{}, in);
    agree(on_device<float>(gated, token_mean{}, in), expected);
    // Row 1 has guidance alone, row 2 the divergence alone.
    CHECK(deviation(expected.row_losses[1], on_reference(teacher_guidance{}, token_mean{}, in).row_losses[1]) <=
          tolerance::rounding);
    CHECK(deviation(expected.row_losses[2], on_reference(forward_kl{}, token_mean{}, in).row_losses[2]) <=
          tolerance::rounding);
}

TEST_CASE("sets of the teacher's tokens are those of the reference; a strange token makes its row NaN") {
    auto random = engine("cuda: top tokens");
    const filled_rows in = stored_rows<float>(random_rows(random, 3, 65));
    device_call_options options{};
    for (std::size_t row = 0; row < in.rows; ++row)
        for (const std::int64_t v : {3, 64, 8, 0}) {
            options.top_tokens.push_back(v);
            options.top_log_probs.push_back(log_softmax(in.teacher_row(row), in.vocabulary)[static_cast<std::size_t>(v)]);
        }
    const auto sets = on_top_tokens{reverse_kl{}} + 0.5 * top_forward_kl<>{};
    agree(on_device<float>(sets, token_mean{}, in, options), on_reference(sets, token_mean{}, in, options));
    options.top_tokens[5] = 65;
    CHECK(on_device<float>(sets, token_mean{}, in, options).result.nonfinite_rows == 1);
}

TEST_CASE(
    "long sets of tokens, with ignored ones and labels in them, in rows of any length; a token twice makes its row NaN") {
    auto random = engine("cuda: long sets");
    const auto sets = on_top_tokens{reverse_kl{}} + 0.1 * cross_entropy{} + 0.2 * forward_kl{};
    for (const std::size_t vocabulary : {300u, 20000u}) {
        filled_rows in = stored_rows<float>(random_rows(random, 2, vocabulary));
        device_call_options options{};
        for (std::size_t row = 0; row < in.rows; ++row) {
            const auto log_probs = log_softmax(in.teacher_row(row), vocabulary);
            for (std::size_t i = 0; i < 70; ++i) {
                const std::size_t token = i * 4;
                const bool is_ignored = i % 11 == 4;
                options.top_tokens.push_back(is_ignored ? ignored_label : static_cast<std::int64_t>(token));
                options.top_log_probs.push_back(is_ignored ? 0.0 : log_probs[token]);
            }
            in.labels[row] = row == 0 ? 8 : 7;
        }
        agree(on_device<float>(sets, token_mean{}, in, options), on_reference(sets, token_mean{}, in, options));
        options.top_tokens[70 + 69] = options.top_tokens[70 + 1];
        const device_answer twice = on_device<float>(sets, token_mean{}, in, options);
        CHECK(twice.result.nonfinite_rows == 1);
        CHECK(!is_finite(twice.row_losses[1]));
    }
}

}  // namespace
}  // namespace distill_test
