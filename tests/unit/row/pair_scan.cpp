// Both rows' statistics and their reverse KL from one sweep: the definitions', on one lane in double and on every instruction set.
#include <distill/backend/reference.hpp>
#include <distill/backend/simd/team.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/row/pair_scan.hpp>
#include <support/random.hpp>
#include <support/rows.hpp>
#include <support/tolerances.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace {

struct pair_of_rows {
    std::vector<double> z, w;
    double inverse_student = 1.0, inverse_teacher = 1.0;
};

// Both rows' normalisers, and their KL(p || q).
struct pair_result {
    distill::row_statistics<1> student, teacher;
    double reverse_kl = 0.0;
};

// As the row program has it: from the scan, or where clamps matter from the entries.
template <class Team, class Row>
pair_result result_of(const Team& team, const Row* z, const Row* w, std::ptrdiff_t vocabulary,
                      const distill::row::pair_statistics& scanned, double inverse_student, double inverse_teacher) {
    pair_result found{scanned.student, scanned.teacher};
    if (!found.student.usable() || !found.teacher.usable()) return found;
    const distill::row::softmax p(found.student.maximum, inverse_student, found.student.sums[0]),
        q(found.teacher.maximum, inverse_teacher, found.teacher.sums[0]);
    found.reverse_kl = scanned.clamps_matter<typename Team::real>()
                           ? distill::row::sum_reverse_kl(team, z, w, vocabulary, p, q)
                           : scanned.reverse_kl();
    return found;
}

distill::row::pair_statistics scan_one_lane(const pair_of_rows& in, std::size_t begin, std::size_t end) {
    return distill::row::scan_pair<true>(distill::row::single_lane{}, in.z.data() + begin, in.w.data() + begin,
                                         static_cast<std::ptrdiff_t>(end - begin), in.inverse_student, in.inverse_teacher);
}

pair_result on_one_lane(const pair_of_rows& in) {
    return result_of(distill::row::single_lane{}, in.z.data(), in.w.data(), static_cast<std::ptrdiff_t>(in.z.size()),
                     scan_one_lane(in, 0, in.z.size()), in.inverse_student, in.inverse_teacher);
}

// From the records of parts, merged in their order.
pair_result in_parts(const pair_of_rows& in, const std::vector<std::size_t>& cuts) {
    distill::row::pair_statistics whole = scan_one_lane(in, 0, cuts.front());
    for (std::size_t i = 0; i < cuts.size(); ++i) {
        const std::size_t end = i + 1 < cuts.size() ? cuts[i + 1] : in.z.size();
        whole = distill::row::merge(whole, scan_one_lane(in, cuts[i], end), in.inverse_student, in.inverse_teacher);
    }
    return result_of(distill::row::single_lane{}, in.z.data(), in.w.data(), static_cast<std::ptrdiff_t>(in.z.size()), whole,
                     in.inverse_student, in.inverse_teacher);
}

struct scan_in_float {
    const float *z, *w;
    std::ptrdiff_t vocabulary;
    double inverse_student, inverse_teacher;
    pair_result* found;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        const distill::simd::team<float, Bytes / 4> team{{}, nullptr};
        *found = result_of(team, z, w, vocabulary,
                           distill::row::scan_pair<true>(team, z, w, vocabulary, inverse_student, inverse_teacher),
                           inverse_student, inverse_teacher);
    }
};

// sum_v p_v min(log p_v - log q_v, 1e6), and the normalisers, by their definitions.
pair_result expected_of(const pair_of_rows& in) {
    pair_result s;
    s.student.maximum = *std::max_element(in.z.begin(), in.z.end());
    s.teacher.maximum = *std::max_element(in.w.begin(), in.w.end());
    const auto log_weight = [](double x, double maximum, double inverse) { return (x - maximum) * inverse; };
    for (const double x : in.z) s.student.sums[0] += std::exp(log_weight(x, s.student.maximum, in.inverse_student));
    for (const double x : in.w) s.teacher.sums[0] += std::exp(log_weight(x, s.teacher.maximum, in.inverse_teacher));
    for (std::size_t v = 0; v < in.z.size(); ++v) {
        const double log_p = log_weight(in.z[v], s.student.maximum, in.inverse_student) - std::log(s.student.sums[0]),
                     log_q = log_weight(in.w[v], s.teacher.maximum, in.inverse_teacher) - std::log(s.teacher.sums[0]);
        if (std::exp(log_p) > 0.0)
            s.reverse_kl += std::exp(log_p) * std::min(log_p - log_q, -distill::log_probability_floor);
    }
    return s;
}

void check(const pair_result& found, const pair_result& expected, double relative) {
    CHECK(found.student.usable());
    CHECK(found.teacher.usable());
    CHECK(found.student.maximum == expected.student.maximum);
    CHECK(found.teacher.maximum == expected.teacher.maximum);
    CHECK(std::abs(found.student.sums[0] - expected.student.sums[0]) <= relative * expected.student.sums[0]);
    CHECK(std::abs(found.teacher.sums[0] - expected.teacher.sums[0]) <= relative * expected.teacher.sums[0]);
    CHECK(std::abs(found.reverse_kl - expected.reverse_kl) <= relative * (1.0 + expected.reverse_kl));
}

void check_everywhere(pair_of_rows in, double in_double = distill_test::tolerance::rounding) {
    for (auto* row : {&in.z, &in.w})
        for (double& x : *row) x = static_cast<double>(static_cast<float>(x));
    const auto expected = expected_of(in);
    check(on_one_lane(in), expected, in_double);
    const std::size_t n = in.z.size();
    for (const auto& cuts : {std::vector<std::size_t>{n / 2}, {0, n / 3, n / 3, n - n / 4, n}, {1}})
        check(in_parts(in, cuts), expected, in_double);
    const std::vector<float> z(in.z.begin(), in.z.end()), w(in.w.begin(), in.w.end());
    distill_test::on_every_set([&](distill::instruction_set set) {
        pair_result found;
        distill::simd::dispatch(set, scan_in_float{z.data(), w.data(), static_cast<std::ptrdiff_t>(z.size()),
                                                   in.inverse_student, in.inverse_teacher, &found});
        check(found, expected, distill_test::tolerance::single_loss);
    });
}

pair_of_rows random_pair(std::mt19937& random, std::size_t length) {
    return {distill_test::normal(random, length, 3.0), distill_test::normal(random, length, 3.0)};
}

}  // namespace

TEST_CASE("a pair's statistics are their definitions', at one temperature and at two") {
    auto random = distill_test::engine("pair statistics");
    for (const std::size_t length : {1u, 2u, 31u, 1023u, 1024u, 1025u, 3000u, 40000u}) {
        CAPTURE(length);
        pair_of_rows in = random_pair(random, length);
        check_everywhere(in);
        in.inverse_student = 0.5;
        in.inverse_teacher = 1.25;
        check_everywhere(in);
    }
}

TEST_CASE("maxima that rise from tile to tile, in one row or in both, change nothing") {
    auto random = distill_test::engine("rising pairs");
    const pair_of_rows level = random_pair(random, 40000);
    for (const auto& [rise_of_z, rise_of_w] : {std::array{1e-3, 0.0}, {0.0, 1e-3}, {1e-3, 1e-3}, {1e-3, -1e-3}}) {
        pair_of_rows in = level;
        for (std::size_t v = 0; v < in.z.size(); ++v) {
            in.z[v] += rise_of_z * static_cast<double>(v);
            in.w[v] += rise_of_w * static_cast<double>(v);
        }
        check_everywhere(in);
    }
}

TEST_CASE("equal rows have a reverse KL of 0, and near-equal ones keep its digits") {
    auto random = distill_test::engine("near pairs");
    pair_of_rows in = random_pair(random, 30000);
    in.w = in.z;
    CHECK(std::abs(on_one_lane(in).reverse_kl) <= distill_test::tolerance::rounding);
    for (double& x : in.w) x += distill_test::normal(random, 1, 1e-2)[0];
    check_everywhere(in);
}

TEST_CASE("an entry that the teacher masks counts as far as its log ratio is held, one that the student masks not at all") {
    auto random = distill_test::engine("masked pairs");
    pair_of_rows in = random_pair(random, 2000);
    in.z[7] = in.w[7] = distill_test::minus_infinity;
    in.z[8] = distill_test::minus_infinity;
    check_everywhere(in);
    in.w[1500] = distill_test::minus_infinity;
    check_everywhere(in);
    in.z[1500] = 20.0;
    check_everywhere(in);
}

TEST_CASE("a large reverse KL is that of the clamped log-ratios, whatever the normalisers") {
    auto random = distill_test::engine("large pairs");
    for (const double depth : {20.0, 1e4, 2e6}) {
        CAPTURE(depth);
        pair_of_rows in = random_pair(random, 3000);
        for (std::size_t v = 0; v < in.w.size(); v += 2) in.w[v] -= depth;
        check_everywhere(in);
        // A student that is sure of few tokens, of a teacher that is not: the log-normalisers differ by 8.
        for (std::size_t v = 10; v < in.z.size(); ++v) in.z[v] -= 30.0;
        check_everywhere(in);
    }
}

TEST_CASE("a teacher that masks whole tiles or parts of the vocabulary is clamped as at single entries") {
    auto random = distill_test::engine("masked parts");
    for (const std::size_t masked : {1024u, 8192u, 16384u, 20480u, 29999u}) {
        CAPTURE(masked);
        for (const bool at_end : {false, true}) {
            pair_of_rows in = random_pair(random, 30000);
            const std::size_t begin = at_end ? in.w.size() - masked : 0;
            for (std::size_t v = begin; v < begin + masked; ++v) in.w[v] = distill_test::minus_infinity;
            check_everywhere(in);
            for (std::size_t v = begin; v < begin + masked; ++v) in.z[v] = distill_test::minus_infinity;
            check_everywhere(in);
        }
    }
}

TEST_CASE("a NaN, an infinity, or nothing but masked entries make the row they are in unusable") {
    auto random = distill_test::engine("unusable pairs");
    const pair_of_rows good = random_pair(random, 2000);
    for (const double bad : {distill::quiet_nan(), -distill_test::minus_infinity}) {
        pair_of_rows in = good;
        in.z[1999] = bad;
        CHECK_FALSE(on_one_lane(in).student.usable());
        CHECK(on_one_lane(in).teacher.usable());
        in = good;
        in.w[3] = bad;
        CHECK(on_one_lane(in).student.usable());
        CHECK_FALSE(on_one_lane(in).teacher.usable());
    }
    pair_of_rows in = good;
    std::fill(in.w.begin(), in.w.end(), distill_test::minus_infinity);
    CHECK_FALSE(on_one_lane(in).teacher.usable());
}
