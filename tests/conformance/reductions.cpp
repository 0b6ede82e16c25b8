// Every reduction, with and without a denominator of the caller's.
#include <distill/distill.hpp>

#include <conformance/example.hpp>
#include <support/bits.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace conformance {

namespace {

constexpr std::ptrdiff_t rows = 11, vocabulary = 21;

// Five sequences: one of three rows, an empty one, one of a single row, one without an active row, and the rest.
const std::vector<std::int32_t> offsets{0, 3, 3, 4, 6, rows};

example weighted_example() {
    example e = make_example("reductions", rows, vocabulary);
    e.weights = {1.0, 0.5, 2.0, 0.25, 1.0, 0.0, 1.0, 1.0, 3.0, 0.0, 1.0};
    e.labels[4] = e.labels[7] = distill::ignored_label;
    return e;
}

double active_weight(const example& e, std::ptrdiff_t row) {
    const auto i = static_cast<std::size_t>(row);
    return e.labels[i] == distill::ignored_label ? 0.0 : e.weights[i];
}

// What a reduction makes of the rows: one share per row, and the denominator.
struct shares {
    std::vector<double> of_row;
    double denominator;
};
shares shares_of(const example& e, bool mean_in_sequence, bool over_sequences) {
    shares s{std::vector<double>(rows, 0.0), 0.0};
    for (std::size_t q = 0; q + 1 < offsets.size(); ++q) {
        double sum = 0.0;
        for (std::ptrdiff_t r = offsets[q]; r < offsets[q + 1]; ++r) sum += active_weight(e, r);
        if (sum == 0.0) continue;
        s.denominator += over_sequences ? 1.0 : sum;
        for (std::ptrdiff_t r = offsets[q]; r < offsets[q + 1]; ++r)
            s.of_row[static_cast<std::size_t>(r)] = active_weight(e, r) / (mean_in_sequence ? sum : 1.0);
    }
    return s;
}

template <class Reduction>
void check(const Reduction& reduction, const shares& expected, const std::string& name) {
    CAPTURE(name);
    const example e = weighted_example();
    auto in = e.batch();
    in.sequence_offsets = offsets;
    const auto on = [&](const auto& run_on) {
        const distill::loss f{distill::cross_entropy{}, run_on, reduction};
        matrix gradient = matrix::filled(rows, vocabulary, 0, sentinel);
        std::vector<double> losses(rows, 1.0);
        const auto result = f.per_token(in, std::span(losses), gradient.view());
        CHECK(result.denominator == doctest::Approx(expected.denominator).epsilon(1e-14));
        CHECK(result.active_rows == 7);
        double sum = 0.0, largest = 0.0;
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            const auto i = static_cast<std::size_t>(r);
            const double share = expected.of_row[i] / expected.denominator;
            sum += share * losses[i];
            double normaliser = 0.0;
            for (const float x : e.student.row(r)) normaliser += std::exp(double{x});
            for (std::ptrdiff_t v = 0; v < vocabulary; ++v) {
                const double p = std::exp(double{e.student.at(r, v)}) / normaliser;
                const double expected_entry = share * (p - (e.labels[i] == v ? 1.0 : 0.0));
                largest = std::max(largest, std::abs(double{gradient.at(r, v)} - expected_entry));
            }
            const double loss =
                active_weight(e, r) == 0.0
                    ? 0.0
                    : std::log(normaliser) - double{e.student.at(r, static_cast<std::ptrdiff_t>(e.labels[i]))};
            CHECK(losses[i] == doctest::Approx(loss).epsilon(1e-6));
        }
        CHECK(result.value == doctest::Approx(sum).epsilon(1e-12));
        CHECK(largest < 1e-6);
    };
    on(distill::reference{});
    on(distill::eigen{});
}

template <class Reduction>
void check_both(const shares& expected, double own_denominator, const std::string& name) {
    check(Reduction{}, {expected.of_row, own_denominator}, name);
    check(Reduction{12.5}, {expected.of_row, 12.5}, name + " over 12.5");
}

}  // namespace

TEST_CASE("every reduction is its definition, for the loss and for the gradient") {
    using namespace distill;
    const example e = weighted_example();
    const shares tokens = shares_of(e, false, false), sequences = shares_of(e, true, true), sums = shares_of(e, false, true);
    check_both<token_mean>(tokens, 8.75, "token_mean");
    check_both<token_sum>(tokens, 1.0, "token_sum");
    check_both<sequence_mean>(sequences, 3.0, "sequence_mean");
    check_both<sequence_mean_of_sums>(sums, 3.0, "sequence_mean_of_sums");
    check(normalized_by{64.0}, {tokens.of_row, 64.0}, "normalized_by");
}

TEST_CASE("accumulating parts over the global denominator equals one call") {
    const example e = weighted_example();
    const auto part = [&](std::ptrdiff_t begin, std::ptrdiff_t end, const std::vector<std::int32_t>& part_offsets) {
        auto in = e.batch();
        in.student = {e.student.memory.data() + begin * vocabulary, end - begin, vocabulary};
        in.teacher = {};
        in.weights = distill::row_values(e.weights.data() + begin, end - begin);
        in.labels = distill::row_indices(e.labels.data() + begin, end - begin);
        in.tokens = in.teacher_tokens = {};
        in.old_log_probs = in.teacher_log_probs = in.advantages = {};
        in.sequence_offsets = part_offsets;
        return in;
    };
    const std::vector<std::int32_t> first_offsets{0, 3, 3, 4}, second_offsets{0, 2, rows - 4};
    const auto check_parts = [&](const auto& whole_reduction, const auto& part_reduction, const auto& run_on) {
        const distill::loss whole{distill::cross_entropy{}, run_on, whole_reduction};
        const distill::loss parts{distill::cross_entropy{}, run_on, part_reduction};
        matrix expected = matrix::filled(rows, vocabulary, 0, sentinel), found = expected;
        const auto result = whole(part(0, rows, offsets), expected.view());
        const auto first = parts(part(0, 4, first_offsets), {found.memory.data(), 4, vocabulary});
        const auto second =
            parts(part(4, rows, second_offsets), {found.memory.data() + 4 * vocabulary, rows - 4, vocabulary});
        CHECK(first.value + second.value == doctest::Approx(result.value).epsilon(1e-14));
        CHECK(same_bits(found.memory, expected.memory));
        CHECK(first.active_rows + second.active_rows == result.active_rows);
    };
    const auto check_backend = [&](const auto& run_on) {
        check_parts(distill::token_mean{}, distill::token_mean{8.75}, run_on);
        check_parts(distill::sequence_mean{}, distill::sequence_mean{3.0}, run_on);
    };
    check_backend(distill::reference{});
    check_backend(distill::eigen{});
}

TEST_CASE("the mean does not depend on the scale of the weights") {
    example e = weighted_example();
    const distill::loss f{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}};
    const double expected = f(e.batch()).value;
    for (double& w : e.weights) w *= 1e-3;
    CHECK(f(e.batch()).value == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE(
    "a mean is right for weights of any size, those whose inverse or whose product with the loss is no double included") {
    example e = weighted_example();
    for (double& w : e.weights) w = w == 0.0 ? 0.0 : 1.0;
    auto in = e.batch();
    in.sequence_offsets = offsets;
    const auto check = [&](const auto& reduction) {
        const distill::loss f{distill::cross_entropy{}, distill::eigen{}, reduction};
        for (double& w : e.weights) w = w == 0.0 ? 0.0 : 1.0;
        matrix expected = matrix::filled(rows, vocabulary, 0, sentinel), found = expected;
        const double value = f(in, expected.view()).value;
        for (const double size : {5e-324, 1e-310, 1e-200, 1e200, 1.5e307}) {
            CAPTURE(size);
            if (distill_test::flushes_subnormals() && (size < std::numeric_limits<double>::min() || size > 1e300)) continue;
            for (double& w : e.weights) w = w == 0.0 ? 0.0 : size;
            CHECK(f(in, found.view()).value == doctest::Approx(value).epsilon(1e-14));
            CHECK(same_bits(found.memory, expected.memory));
        }
    };
    check(distill::token_mean{});
    check(distill::sequence_mean{});
}

TEST_CASE("sequences without an active row count for nothing, and none at all is loss 0") {
    example e = weighted_example();
    e.weights.assign(rows, 0.0);
    auto in = e.batch();
    in.sequence_offsets = offsets;
    matrix gradient = matrix::filled(rows, vocabulary, 0, sentinel);
    const distill::loss f{distill::cross_entropy{}, distill::eigen{}, distill::sequence_mean{}};
    const auto result = f(in, gradient.view());
    CHECK(same_bits(result.value, 0.0));
    CHECK(result.denominator == 0.0);
    CHECK(all_zero(gradient.memory));

    // No rows: no sequence, or only empty ones.
    distill::batch<float> empty;
    empty.student.vocabulary = empty.student.row_stride = vocabulary;
    CHECK(f(empty).value == 0.0);
    const std::vector<std::int64_t> empty_offsets{0, 0, 0};
    empty.sequence_offsets = empty_offsets;
    CHECK(f(empty).value == 0.0);
    CHECK(f(empty).denominator == 0.0);
}

}  // namespace conformance
