// The contracts of a call, on the CUDA backend: shapes, places, types, masks, rows that are not finite, reductions, errors.
#include "on_device.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <string>

namespace distill_test {
namespace {

using namespace distill;

// A sum with a moment, a token term and the teacher's argmax.
const auto objective = 0.5 * reverse_kl{} + 0.3 * forward_kl{} + tgpo{.coefficient = 0.1};

const double nan_logit = quiet_nan();

TEST_CASE("every vocabulary, from one entry to those of language models") {
    auto random = engine("cuda: vocabularies");
    for (const std::size_t vocabulary : {1u, 2u, 31u, 32u, 33u, 127u, 1000u, 1003u, 4096u, 32000u, 151936u}) {
        CAPTURE(vocabulary);
        const filled_rows in = stored_rows<float>(random_rows(random, vocabulary > 10000 ? 1 : 3, vocabulary));
        agree(on_device<float>(objective, token_mean{}, in), on_reference(objective, token_mean{}, in));
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
        const device_answer found = on_device<float>(objective, token_mean{}, in);
        agree(found, on_reference(objective, token_mean{}, in));
        const device_answer again = on_device<float>(objective, token_mean{}, in),
                            in_place = on_device<float>(objective, token_mean{}, in, {.in_place = true});
        CHECK(again.result.value == found.result.value);
        CHECK(again.gradient == found.gradient);
        CHECK(in_place.result.value == found.result.value);
        CHECK(in_place.gradient == found.gradient);
        agree(on_device<float>(objective, token_mean{}, in, {.logits = {3, 1}, .adds = true}),
              on_reference(objective, token_mean{}, in, {.adds = true}));
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
    const device_answer strange = on_device<float>(objective, token_mean{}, in);
    CHECK(strange.result.nonfinite_rows == 1);
    CHECK(nan_from(strange, 20000, 40000));
    CHECK(strange.row_losses[0] == on_device<float>(objective, token_mean{}, good).row_losses[0]);
    in = good;
    in.tokens[0] = 20000;
    const device_answer unreadable = on_device<float>(objective, token_mean{}, in);
    CHECK(unreadable.result.nonfinite_rows == 1);
    CHECK(nan_from(unreadable, 0, 20000));
    in = good;
    in.weights = {0.0, 1.0};
    std::vector<double> of_masked = on_device<float>(objective, token_mean{}, in).gradient;
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
    const device_answer among = on_device<float>(objective, token_sum{}, six, {}, no_soft_cap{}, shares_none),
                        alone = on_device<float>(objective, token_sum{}, one, {}, no_soft_cap{}, shares_none);
    CHECK(alone.row_losses[0] == among.row_losses[0]);
    CHECK(std::equal(alone.gradient.begin(), alone.gradient.end(), among.gradient.begin()));
#ifdef DISTILL_CUDA_EMULATION
    cuda_emulation::device.cooperative_launch = 0;
    const device_answer without = on_device<float>(objective, token_sum{}, one);
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
    const device_answer found = on_device<float>(objective, token_mean{}, in);
    CHECK(found.result.nonfinite_rows == 1);
    in.weights[20] = 0.0;
    const device_answer expected = on_reference(objective, token_sum{}, in);
    for (std::size_t row = 0; row < in.rows; ++row)
        if (row != 20)
            CHECK(std::abs(found.row_losses[row] - expected.row_losses[row]) <=
                  tolerance::single_loss * (1.0 + std::abs(expected.row_losses[row])));
    agree(on_device<float>(objective, token_mean{}, in), on_reference(objective, token_mean{}, in));
}

TEST_CASE("rows at any address and stride; padding is left alone") {
    auto random = engine("cuda: places");
    const filled_rows in = stored_rows<float>(random_rows(random, 3, 130));
    const device_answer expected = on_reference(objective, token_mean{}, in);
    for (const placement logits : {placement{0, 1}, placement{1, 0}, placement{2, 3}, placement{6, 0}})
        for (const placement gradient : {placement{0, 0}, placement{3, 1}, placement{2, 2}})
            agree(on_device<float>(objective, token_mean{}, in, {.logits = logits, .gradient = gradient}), expected);
}

TEST_CASE("padding is zeroed on request, of a row that cannot be read too") {
    auto random = engine("cuda: padding");
    filled_rows in = stored_rows<float>(random_rows(random, 4, 50));
    in.weights[1] = 0.0;
    in.student_row(2)[3] = quiet_nan();
    in.tokens[3] = 50;
    const device_answer found = on_device<float>(objective, token_mean{}, in, {.gradient = {5, 2}, .zeroes_padding = true});
    CHECK(found.padding_as_asked);
    CHECK(found.result.nonfinite_rows == 2);
}

TEST_CASE("in place has the bits of elsewhere; accumulated is added to what is there") {
    auto random = engine("cuda: destinations");
    const filled_rows in = stored_rows<float>(random_rows(random, 3, 77));
    const device_answer elsewhere = on_device<float>(objective, token_mean{}, in),
                        in_place = on_device<float>(objective, token_mean{}, in, {.in_place = true});
    CHECK(in_place.gradient == elsewhere.gradient);
    CHECK(in_place.result.value == elsewhere.result.value);
    agree(on_device<float>(objective, token_mean{}, in, {.adds = true}),
          on_reference(objective, token_mean{}, in, {.adds = true}));
}

template <class Element>
void holds_for_type(double allowed, double rounding) {
    auto random = engine("cuda: element types");
    const auto holds = [&](const auto& o, const filled_rows& in) {
        for (const placement& logits : {placement{}, placement{3, 1}})
            agree(on_device<Element>(o, token_mean{}, in, {.logits = logits, .gradient = logits}),
                  on_reference(o, token_mean{}, in), allowed, rounding);
    };
    for (const std::size_t vocabulary : {33u, 260u, 3000u, 20000u}) {
        CAPTURE(vocabulary);
        const filled_rows in = stored_rows<Element>(random_rows(random, vocabulary > 10000 ? 1 : 3, vocabulary));
        holds(objective, in);
        holds(forward_kl{}, in);
        holds(jensen_shannon{}, in);
        holds(teacher_guidance{}, in);
    }
}

TEST_CASE("half and bfloat16 are storage, with one rounding; double is computed in double") {
    holds_for_type<__half>(tolerance::single_loss, 0x1p-11);
    holds_for_type<__nv_bfloat16>(tolerance::single_loss, 0x1p-8);
    holds_for_type<double>(tolerance::rounding, 0.0);
}

TEST_CASE("a gradient beyond the largest half is held at it") {
    filled_rows in{.rows = 1, .vocabulary = 2, .student = {0.0, 0.0}, .teacher = {3.0, -3.0}};
    in.weights = {1e6};
    const device_answer found = on_device<__half>(forward_kl{}, token_sum{}, in);
    CHECK(found.gradient == std::vector<double>{-65504.0, 65504.0});
}

TEST_CASE("masked entries have no probability, masked rows no loss whatever they hold") {
    auto random = engine("cuda: masks");
    filled_rows in = stored_rows<float>(random_rows(random, 4, 90));
    in.tokens = in.teacher_tokens = {1, 2, 3, 4};
    in.student_row(0)[5] = in.teacher_row(0)[5] = minus_infinity;
    in.student_row(2)[80] = in.teacher_row(2)[81] = minus_infinity;
    in.weights = {1.0, 0.0, 2.0, 1.0};
    const device_answer expected = on_reference(objective, token_mean{}, in);
    for (std::size_t v = 0; v < in.vocabulary; ++v) in.student_row(1)[v] = nan_logit;
    in.tokens[1] = -5;
    const device_answer found = on_device<float>(objective, token_mean{}, in);
    agree(found, expected);
    CHECK(found.gradient[5] == 0.0);
    for (std::size_t v = 0; v < in.vocabulary; ++v) CHECK(found.gradient[in.vocabulary + v] == 0.0);
}

TEST_CASE("a row that is not finite is NaN and counted, and disturbs no other") {
    auto random = engine("cuda: not finite");
    const filled_rows good = stored_rows<float>(random_rows(random, 3, 90));
    const device_answer expected = on_device<float>(objective, token_mean{}, good);
    for (const double strange : {nan_logit, -minus_infinity}) {
        filled_rows in = good;
        in.student_row(1)[33] = strange;
        const device_answer found = on_device<float>(objective, token_mean{}, in);
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
        const device_answer found = on_device<float>(objective, token_mean{}, in);
        CHECK(!is_finite(found.row_losses[1]));
        CHECK(!is_finite(found.gradient[in.vocabulary]));
        CHECK(is_finite(found.row_losses[0]));
        return found.result.nonfinite_rows;
    };
    CHECK(nonfinite([](filled_rows& in) { in.tokens[1] = 40; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.tokens[1] = -1; }) == 1);
    CHECK(nonfinite([](filled_rows& in) { in.teacher_tokens[1] = 1000000; }) == 1);
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

TEST_CASE("temperatures, and separate ones, are those of the reference") {
    auto random = engine("cuda: temperatures");
    for (const temperature& t : {temperature{2.0}, temperature{0.7, 1.8}}) {
        const device_call_options options{.temperature = t};
        const filled_rows in = stored_rows<float>(random_rows(random, 3, 65, 1.5, t));
        agree(on_device<float>(objective, token_mean{}, in, options), on_reference(objective, token_mean{}, in, options));
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
    const device_answer first = on_device<float>(objective, token_sum{}, in),
                        again = on_device<float>(objective, token_sum{}, in);
    CHECK(first.result.value == again.result.value);
    CHECK(first.gradient == again.gradient);
    filled_rows alone = in;
    alone.rows = 1;
    alone.student.resize(700), alone.teacher.resize(700);
    for (auto* values :
         {&alone.weights, &alone.old_log_probs, &alone.teacher_log_probs, &alone.advantages, &alone.sequence_log_ratios})
        values->resize(1);
    for (auto* values : {&alone.tokens, &alone.teacher_tokens, &alone.labels}) values->resize(1);
    const device_answer one = on_device<float>(objective, token_sum{}, alone);
    CHECK(one.row_losses[0] == first.row_losses[0]);
    CHECK(std::equal(one.gradient.begin(), one.gradient.end(), first.gradient.begin()));
}

// ---- what the host refuses ----

template <class Call>
std::string refusal(const Call& call) {
    try {
        call();
    } catch (const invalid_input& error) {
        return error.what();
    }
    return "accepted";
}

TEST_CASE("a workspace that is too small or missing, and a result that is nowhere, are refused before anything runs") {
    const device_vector<float> logits(std::vector<float>(20, 1.0f)), gradient(20);
    const device_vector<unsigned char> memory(4096);
    const device_vector<loss_result> result(1);
    const batch<float> in{.student = {logits.data(), 2, 10}, .teacher = {logits.data(), 2, 10}};
    const auto call = [&](const workspace& space, loss_result* to) {
        return refusal([&] { loss{forward_kl{}, cuda{nullptr, space}, token_mean{}}(in, {gradient.data(), 2, 10}, to); });
    };
    const std::size_t needed = loss{forward_kl{}, cuda{}, token_mean{}}.workspace_bytes(in);
    CHECK(call({memory.data(), needed}, result.data()) == "accepted");
    CHECK(call({memory.data(), needed - 1}, result.data()) ==
          "distill: the workspace has " + std::to_string(needed - 1) + " bytes, this call needs " + std::to_string(needed));
    CHECK(call({nullptr, needed}, result.data()) == "distill: the workspace is a null pointer");
    CHECK(call({memory.data(), needed}, nullptr) == "distill: the result is a null pointer");
    hold(cudaDeviceSynchronize());
}

TEST_CASE("shapes and overlaps are refused as on the host, without reading an array") {
    const device_vector<float> logits(std::vector<float>(40, 1.0f));
    const device_vector<unsigned char> memory(4096);
    const device_vector<loss_result> result(1);
    const loss f{forward_kl{}, cuda{nullptr, {memory.data(), memory.size()}}, token_mean{}};
    const batch<float> in{.student = {logits.data(), 2, 10}, .teacher = {logits.data() + 20, 2, 10}};
    CHECK(refusal([&] { f(in, {logits.data() + 20, 2, 10}, result.data()); }) == "distill: gradient overlaps batch.teacher");
    CHECK(refusal([&] {
              f(in, {logits.data(), 2, 9}, result.data());
          }) == "distill: gradient has a vocabulary of 9, batch.student has 10");
    const batch<float> alone{.student = {logits.data(), 2, 10}};
    CHECK(refusal([&] { f(alone, result.data()); }) == "distill: forward_kl needs batch.teacher, which is empty");
}

TEST_CASE_TEMPLATE("a call is captured in a graph, and every launch of the graph runs it", Vocabulary,
                   std::integral_constant<std::size_t, 100>, std::integral_constant<std::size_t, 20000>) {
    constexpr std::size_t vocabulary = Vocabulary::value;
    auto random = engine("cuda: graphs");
    const filled_rows in = stored_rows<float>(random_rows(random, 2, vocabulary));
    const device_vector<float> student(placed<float>(in.student, 2, vocabulary, {})),
        teacher(placed<float>(in.teacher, 2, vocabulary, {})), gradient(2 * vocabulary);
    const device_vector<loss_result> result(1);
    const batch<float> b{.student = {student.data(), 2, vocabulary}, .teacher = {teacher.data(), 2, vocabulary}};
    const device_vector<unsigned char> memory(loss{forward_kl{}, cuda{}, token_mean{}}.workspace_bytes(b));
    cudaStream_t stream{};
    hold(cudaStreamCreate(&stream));
    const loss f{forward_kl{}, cuda{stream, {memory.data(), memory.size()}}, token_mean{}};

    hold(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    f(b, {gradient.data(), 2, vocabulary}, result.data());
    cudaGraph_t graph{};
    hold(cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t executable{};
    hold(cudaGraphInstantiate(&executable, graph, 0));

    const device_answer expected = on_device<float>(forward_kl{}, token_mean{}, in);
    for (int launch = 0; launch < 2; ++launch) {
        hold(cudaMemset(gradient.data(), 0xff, 2 * vocabulary * sizeof(float)));
        hold(cudaGraphLaunch(executable, stream));
        hold(cudaStreamSynchronize(stream));
        CHECK(result.values()[0].value == expected.result.value);
        const std::vector<float> found = gradient.values();
        CHECK(std::equal(found.begin(), found.end(), expected.gradient.begin(),
                         [](float a, double e) { return static_cast<double>(a) == e; }));
    }
    hold(cudaGraphExecDestroy(executable));
    hold(cudaGraphDestroy(graph));
    hold(cudaStreamDestroy(stream));
}

}  // namespace
}  // namespace distill_test
