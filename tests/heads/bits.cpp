// The same bits as on logits that are all in memory, for every number of rows at once and of threads.
#include "heads.hpp"

#include <distill/backend/simd/dispatch.hpp>

#include <doctest/doctest.h>

namespace heads {
namespace {

constexpr shape of{.rows = 333, .vocabulary = 521, .width = 24, .teacher_width = 40};

struct outcome {
    distill::loss_result result, value_alone;
    std::vector<float> hidden, weight, bias;

    friend bool operator==(const outcome& a, const outcome& b) {
        return same_bits(a.result, b.result) && same_bits(a.value_alone, b.value_alone) && same_bits(a.hidden, b.hidden) &&
               same_bits(a.weight, b.weight) && same_bits(a.bias, b.bias);
    }
};

template <class Loss, class Product>
outcome through(const Loss& loss, const Product& product, std::ptrdiff_t rows, const problem& p, bool with_teacher = true) {
    stored_problem<float> s(p);
    const distill::through_heads f{loss, product, distill::rows_at_once{rows}};
    std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()), std::byte{0xff});
    outcome found;
    if (with_teacher) {
        found.result = f(s.student(), s.teacher(), p.batch(), s.gradients(), memory);
        found.value_alone = f(s.student(), s.teacher(), p.batch(), memory);
    } else {
        found.result = f(s.student(), p.batch(), s.gradients(), memory);
        found.value_alone = f(s.student(), p.batch(), memory);
    }
    found.hidden = s.hidden_gradient;
    found.weight = s.weight_gradient;
    found.bias = s.bias_gradient;
    return found;
}

// The logits as the product makes them, all rows in memory.
std::vector<float> whole_logits(const std::vector<double>& hidden, const std::vector<double>& weight, std::size_t width,
                                const std::vector<double>& bias) {
    const std::size_t room = (of.rows + 63) / 64 * 64;
    std::vector<float> h = stored<float>(hidden), z(room * of.vocabulary);
    const std::vector<float> w = stored<float>(weight), b = stored<float>(bias);
    h.resize(room * width);
    distill::eigen_product{}.logits(distill::matrix_view<const float>{h.data(), room, width},
                                    distill::matrix_view<const float>{w.data(), of.vocabulary, width},
                                    distill::matrix_view<float>{z.data(), room, of.vocabulary});
    z.resize(of.rows * of.vocabulary);
    if (!b.empty())
        for (std::size_t i = 0; i < z.size(); ++i) z[i] += b[i % of.vocabulary];
    return z;
}

template <class Objective, class Reduction>
void check_bits(const char* name, const Objective& objective, const Reduction& reduction) {
    const problem p = make_problem(name, of);
    for (const auto widest :
         {distill::instruction_set::baseline, distill::instruction_set::avx2, distill::instruction_set::avx512}) {
        CAPTURE(name);
        CAPTURE(static_cast<int>(widest));
        const distill::loss loss{objective, distill::eigen{widest}, reduction, distill::temperature{1.5}};
        const outcome expected = through(loss, distill::eigen_product{}, 64, p);
        for (const std::ptrdiff_t rows : {128, 192, 320, 512})
            CHECK(through(loss, distill::eigen_product{}, rows, p) == expected);
        const distill::loss threaded{objective, distill::eigen{threads{3}, widest}, reduction, distill::temperature{1.5}};
        CHECK(through(threaded, distill::eigen_product{threads{2}}, 128, p) == expected);

        // The whole loss, on logits by the same product.
        const auto z = whole_logits(p.hidden, p.weight, of.width, p.bias);
        const auto w = whole_logits(p.teacher_hidden, p.teacher_weight, of.teacher_width, {});
        auto in = p.batch();
        in.student = {z.data(), of.rows, of.vocabulary};
        in.teacher = {w.data(), of.rows, of.vocabulary};
        std::vector<float> g(z.size());
        const auto whole = loss(in, {g.data(), of.rows, of.vocabulary});
        CHECK(whole.active_rows > 200);
        CHECK(same_bits(expected.result, whole));
        CHECK(same_bits(expected.value_alone, loss(in)));

        // Chunks of logits that somebody else makes: the gradient's rows too.
        std::vector<float> found(z.size(), 0.0f);
        const auto copy = [](const std::vector<float>& from) {
            return [&from](const distill::row_chunk& chunk, const distill::logits_view<float>& to) {
                for (std::size_t i = 0; i < chunk.rows.size(); ++i)
                    std::copy_n(from.begin() + chunk.rows[i] * to.vocabulary, to.vocabulary,
                                to.row(static_cast<std::ptrdiff_t>(i)));
            };
        };
        const distill::in_chunks chunks{loss, distill::rows_at_once{64}};
        constexpr distill::logits_shape shape{of.rows, of.vocabulary};
        std::vector<std::byte> memory(chunks.template workspace_bytes<float>(shape, true), std::byte{0xff});
        const auto result = chunks(
            shape, p.batch(), copy(z), copy(w),
            [&](const distill::row_chunk& chunk, const distill::logits_view<const float>& gradient) {
                for (std::size_t i = 0; i < chunk.rows.size(); ++i)
                    std::copy_n(gradient.row(static_cast<std::ptrdiff_t>(i)), gradient.vocabulary,
                                found.begin() + chunk.rows[i] * gradient.vocabulary);
                for (auto i = static_cast<std::ptrdiff_t>(chunk.rows.size()); i < chunk.room; ++i)
                    CHECK(std::all_of(gradient.row(i), gradient.row(i) + gradient.vocabulary,
                                      [](float x) { return x == 0.0f; }));
            },
            memory);
        CHECK(same_bits(result, whole));
        CHECK(same_bits(found, g));
        CHECK(same_bits(chunks(shape, p.batch(), copy(z), copy(w), memory), loss(in)));
    }
}

}  // namespace

TEST_CASE("bits of forward KL, a mean over tokens") {
    check_bits("forward_kl", distill::forward_kl{}, distill::token_mean{});
}

TEST_CASE("bits of a sum of terms of every kind, a mean over sequences") {
    using namespace distill;
    check_bits("everything",
               0.5 * jensen_shannon{0.3} + 0.3 * adaptive_kl{} + 0.2 * cross_entropy{} + 0.6 * clipped_surrogate{} +
                   0.1 * z_loss{} + 0.3 * sampled_guidance{5},
               sequence_mean{});
}

TEST_CASE("bits of reverse KL, a sum over tokens") { check_bits("reverse_kl", distill::reverse_kl{}, distill::token_sum{}); }

TEST_CASE("bits without a teacher") {
    const problem p = make_problem("no teacher", of);
    const distill::loss loss{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}};
    const outcome expected = through(loss, distill::eigen_product{}, 64, p, false);
    CHECK(expected.result.value > 0.1);
    for (const std::ptrdiff_t rows : {128, 512}) CHECK(through(loss, distill::eigen_product{}, rows, p, false) == expected);
}

TEST_CASE("bits do not depend on what masked rows hold, nor on how many there are between the others") {
    const problem p = make_problem("masked rows", of);
    const distill::loss loss{distill::jensen_shannon{}, distill::eigen{}, distill::token_sum{}};
    const outcome expected = through(loss, distill::eigen_product{}, 64, p);

    // NaN in masked rows.
    problem strange = p;
    for (std::size_t i = 0; i < of.rows; ++i)
        if (i % 5 == 3)
            for (std::size_t k = 0; k < of.width; ++k) strange.hidden[i * of.width + k] = std::nan("");
    CHECK(through(loss, distill::eigen_product{}, 128, strange) == expected);
    for (std::size_t i = 3; i < of.rows; i += 5)
        for (std::size_t k = 0; k < of.width; ++k) CHECK(expected.hidden[i * of.width + k] == 0.0f);
}

}  // namespace heads
