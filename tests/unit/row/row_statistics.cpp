// One sweep's statistics: of a whole row, and merged from its parts.
#include <distill/backend/reference.hpp>
#include <distill/row/row_statistics.hpp>
#include <distill/row/softmax.hpp>
#include <support/bits.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

constexpr std::array<double, 2> inverse_temperatures{1.0, 0.25};
const distill::row::single_lane lane;
const double minus_infinity = distill_test::infinite(true);
const double plus_infinity = distill_test::infinite();

distill::row_statistics<2> scan(const std::vector<double>& row) {
    return distill::row::scan_row<true>(lane, row.data(), static_cast<std::ptrdiff_t>(row.size()), inverse_temperatures);
}

// A part's argmax counts from the part's own begin.
distill::row_statistics<2> scan_part(const std::vector<double>& row, std::size_t begin, std::size_t end) {
    auto found = scan({row.begin() + static_cast<std::ptrdiff_t>(begin), row.begin() + static_cast<std::ptrdiff_t>(end)});
    found.argmax += static_cast<std::ptrdiff_t>(begin);
    return found;
}

void check_same(const distill::row_statistics<2>& found, const distill::row_statistics<2>& expected) {
    CHECK(found.maximum == expected.maximum);
    CHECK(found.argmax == expected.argmax);
    CHECK(found.has_nan == expected.has_nan);
    for (std::size_t t = 0; t < 2; ++t) CHECK(found.sums[t] == doctest::Approx(expected.sums[t]).epsilon(1e-13));
}

}  // namespace

TEST_CASE("a row's statistics are its definition's") {
    auto random = distill_test::engine("row statistics");
    for (const std::size_t length : {1u, 2u, 1023u, 1024u, 1025u, 3000u}) {
        const auto row = distill_test::normal(random, length, 4.0);
        const auto found = scan(row);
        const auto largest = std::max_element(row.begin(), row.end());
        CHECK(found.maximum == *largest);
        CHECK(found.argmax == largest - row.begin());
        CHECK(found.usable());
        for (std::size_t t = 0; t < 2; ++t) {
            double sum = 0.0;
            for (const double x : row) sum += std::exp((x - *largest) * inverse_temperatures[t]);
            CHECK(found.sums[t] == doctest::Approx(sum).epsilon(1e-13));
        }
    }
}

TEST_CASE("merged parts are the whole row, wherever it is cut, masked parts and ties included") {
    auto random = distill_test::engine("merge");
    std::uniform_int_distribution<int> level(-2, 2), kind(0, 9);
    for (int repetition = 0; repetition < 100; ++repetition) {
        std::vector<double> row(40);
        for (double& x : row) x = kind(random) == 0 ? minus_infinity : 3.0 * level(random);
        if (repetition % 3 == 0) std::fill(row.begin(), row.begin() + 15, minus_infinity);
        row[30] = 1.0;
        const auto whole = scan(row);
        for (std::size_t cut = 1; cut < row.size(); ++cut)
            check_same(merge(scan_part(row, 0, cut), scan_part(row, cut, row.size()), inverse_temperatures), whole);
        // Three parts, in both groupings.
        const auto a = scan_part(row, 0, 11), b = scan_part(row, 11, 27), c = scan_part(row, 27, 40);
        check_same(merge(merge(a, b, inverse_temperatures), c, inverse_temperatures), whole);
        check_same(merge(a, merge(b, c, inverse_temperatures), inverse_temperatures), whole);
    }
}

TEST_CASE("what makes a row unusable survives a merge") {
    const std::vector<double> fine(8, 0.5), masked(8, minus_infinity);
    std::vector<double> nan = fine, infinite = fine;
    nan[3] = distill::quiet_nan();
    infinite[7] = plus_infinity;
    CHECK(scan(fine).usable());
    for (const auto& bad : {nan, infinite}) {
        CHECK_FALSE(scan(bad).usable());
        CHECK_FALSE(merge(scan(fine), scan(bad), inverse_temperatures).usable());
        CHECK_FALSE(merge(scan(bad), scan(fine), inverse_temperatures).usable());
    }
    CHECK_FALSE(scan(masked).usable());
    CHECK_FALSE(merge(scan(masked), scan(masked), inverse_temperatures).usable());
    CHECK(merge(scan(masked), scan(fine), inverse_temperatures).usable());
    check_same(merge(scan(masked), scan_part(fine, 0, 8), inverse_temperatures), scan(fine));
    CHECK_FALSE(distill::row_statistics<1>{}.usable());
}

TEST_CASE("an entry's logarithms, probabilities, ratio and difference belong together") {
    auto random = distill_test::engine("entries");
    using number = distill::scalar<double>;
    const auto z = distill_test::normal(random, 50, 3.0);
    for (const double perturbation : {1e-12, 1e-6, 1e-2, 3.0}) {
        CAPTURE(perturbation);
        auto w = z;
        for (double& x : w) x += distill_test::normal(random, 1, perturbation)[0];
        for (const auto& [student_inverse, teacher_inverse] : {std::array{1.0, 1.0}, {0.5, 0.5}, {2.0, 0.25}}) {
            const auto softmax_of = [](const std::vector<double>& row, double inverse) {
                const auto s = distill::row::scan_row<false>(lane, row.data(), 50, std::array{inverse});
                return distill::row::softmax(s.maximum, inverse, s.sums[0]);
            };
            const auto student = softmax_of(z, student_inverse), teacher = softmax_of(w, teacher_inverse);
            const distill::row::entry_maker<number, double> make(student, teacher);
            double p_sum = 0.0, q_sum = 0.0, worst = 0.0;
            for (std::size_t v = 0; v < 50; ++v) {
                const auto e = make(number(z[v]), number(w[v]));
                p_sum += e.p.value;
                q_sum += e.q.value;
                const double log_p = student.log_probability(z[v]), log_q = teacher.log_probability(w[v]);
                for (const double error : {e.log_p.value - log_p, e.log_q.value - log_q, e.log_ratio.value - (log_p - log_q),
                                           std::exp(log_p) - e.p.value, std::exp(log_q) - e.q.value,
                                           e.difference.value - e.q.value * std::expm1(e.log_ratio.value)})
                    worst = std::max(worst, std::abs(error));
            }
            CHECK(worst < 1e-13);
            CHECK(p_sum == doctest::Approx(1.0).epsilon(1e-14));
            CHECK(q_sum == doctest::Approx(1.0).epsilon(1e-14));
        }
    }
}

TEST_CASE("the series of exp(d) - 1 keeps its precision up to 1/4") {
    double worst = 0.0, worst_single = 0.0;
    for (int i = -1000; i <= 1000; ++i) {
        if (i == 0) continue;
        const double d = 0.25 * i / 1000.0;
        const double expected = std::expm1(d);
        using number = distill::scalar<double>;
        worst = std::max(worst, std::abs(distill::row::small_expm1<double>(number(d)).value / expected - 1.0));
        worst_single = std::max(worst_single, std::abs(distill::row::small_expm1<float>(number(d)).value / expected - 1.0));
    }
    CHECK(worst < 1e-15);
    CHECK(worst_single < 0x1p-24);
}

TEST_CASE("a log-probability is never below its floor") {
    const distill::row::softmax s(0.0, 1.0, 1.0);
    CHECK(s.log_probability(0.0) == 0.0);
    CHECK(s.log_probability(-3.0) == -3.0);
    CHECK(s.log_probability(-1e300) == distill::log_probability_floor);
    CHECK(s.log_probability(distill::masked_logit) == distill::log_probability_floor);
}
