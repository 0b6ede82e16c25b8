// A teacher that sends its most probable tokens instead of its logits.
#include <conformance/example.hpp>

#include <distill/distill.hpp>

#include <Eigen/Core>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace conformance {
namespace {

using namespace distill;

constexpr std::ptrdiff_t rows = 4, vocabulary = 300, k = 6;

struct top_example {
    example e = make_example("top tokens", rows, vocabulary);
    std::vector<std::int32_t> ids{};
    std::vector<float> log_probs{};

    top_example() {
        for (std::ptrdiff_t i = 0; i < rows * k; ++i) {
            ids.push_back(static_cast<std::int32_t>((i * 37) % vocabulary));
            log_probs.push_back(-2.0f - 0.1f * static_cast<float>(i % k));
        }
    }
    [[nodiscard]] batch<float> in() const {
        auto b = e.batch();
        b.teacher = {};
        b.top_tokens = ids;
        b.top_log_probs = log_probs;
        return b;
    }
};

const auto mixed = on_top_tokens{reverse_kl{}} + 0.5 * top_forward_kl<>{} + cross_entropy{};

template <class Test>
void on_each_backend(const Test& test) {
    test(reference{});
    test(eigen{});
}

}  // namespace

TEST_CASE("top tokens: a masked row may hold anything, and the others do not notice") {
    on_each_backend([](const auto& backend) {
        const loss f{mixed, backend, token_mean{}};
        top_example t;
        t.e.weights[2] = 0.0;
        matrix expected = matrix::filled(rows, vocabulary, 0, sentinel), found = expected;
        const auto first = f(t.in(), expected.view());
        std::ranges::fill(t.e.student.row(2), positive_nan);
        for (std::ptrdiff_t i = 2 * k; i < 3 * k; ++i) {
            t.ids[static_cast<std::size_t>(i)] = 1 << 30;
            t.log_probs[static_cast<std::size_t>(i)] = positive_nan;
        }
        CHECK(same_bits(f(t.in(), found.view()), first));
        CHECK(same_bits(found.memory, expected.memory));
        CHECK(all_zero(found.row(2)));
    });
}

TEST_CASE("top tokens: a log-probability that is NaN makes its own row NaN and no other") {
    on_each_backend([](const auto& backend) {
        const loss f{mixed, backend, token_mean{}};
        top_example t;
        matrix expected = matrix::filled(rows, vocabulary, 0, sentinel), found = expected;
        f(t.in(), expected.view());
        t.log_probs[k + 1] = positive_nan;
        CHECK(f(t.in(), found.view()).nonfinite_rows == 1);
        CHECK(all_nan(found.row(1)));
        for (const std::ptrdiff_t row : {0, 2, 3})
            CHECK(same_bits(std::span<const float>(found.row(row)), std::span<const float>(expected.row(row))));
    });
}

TEST_CASE("top tokens: in place and accumulated gradients are the ordinary one") {
    on_each_backend([](const auto& backend) {
        const loss f{mixed, backend, token_mean{}};
        top_example t;
        matrix expected = matrix::filled(rows, vocabulary, 0, sentinel), sum = matrix::filled(rows, vocabulary, 0, 0.25f);
        f(t.in(), expected.view());
        f(t.in(), accumulate(sum.view()));
        for (std::size_t i = 0; i < sum.memory.size(); ++i)
            CHECK(std::abs(sum.memory[i] - 0.25f - expected.memory[i]) <= 1e-7f);
        f(t.in(), t.e.student.view());
        CHECK(same_bits(t.e.student.memory, expected.memory));
    });
}

TEST_CASE("top tokens: 16-bit gradients are rounded once") {
    const top_example t;
    std::vector<Eigen::half> student(t.e.student.memory.size()), narrow(student.size());
    for (std::size_t i = 0; i < student.size(); ++i) student[i] = Eigen::half(t.e.student.memory[i]);
    std::vector<double> wide(student.size());
    batch<Eigen::half> in{.student = {student.data(), rows, vocabulary},
                          .labels = t.e.labels,
                          .top_tokens = t.ids,
                          .top_log_probs = t.log_probs};
    loss{mixed, eigen{}, token_sum{}}(in, {narrow.data(), rows, vocabulary});
    loss{mixed, reference{}, token_sum{}}(in, logits_view<double>{wide.data(), rows, vocabulary});
    for (std::size_t i = 0; i < wide.size(); ++i) {
        // Half a unit in the last place of half, and fp32's own error before it.
        const double allowed = std::abs(wide[i]) * (0x1p-11 + 1e-6) + 0x1p-25 + 1e-8;
        CHECK(std::abs(static_cast<double>(narrow[i]) - wide[i]) <= allowed);
    }
}

}  // namespace conformance
