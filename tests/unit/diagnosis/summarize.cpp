#include <distill/diagnosis/summarize.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using distill::row_diagnosis, distill::row_state, distill::summarize;

namespace {

row_diagnosis row_of(double divergence, double p, double q, bool same_top) {
    return {.state = row_state::diagnosed,
            .forward_kl = divergence,
            .student_top = 3,
            .teacher_top = same_top ? 3 : 4,
            .has_token = true,
            .token = 4,
            .token_log_p = std::log(p),
            .token_log_q = std::log(q),
            .top_overlap = {same_top ? 1.0 : 0.0, 0.4, 0.5},
            .teacher_mass = {0.1, 0.2, 0.3, 0.4, 0.5, same_top ? 0.95 : 0.85, 0.99}};
}

}  // namespace

TEST_CASE("means, errors and percentiles are those of the rows that were diagnosed") {
    std::vector<row_diagnosis> rows{row_of(1.0, 0.5, 0.25, true), row_of(3.0, 0.25, 0.5, false), row_of(2.0, 0.5, 0.5, true),
                                    row_of(6.0, 0.125, 0.5, false)};
    rows.push_back({.state = row_state::nonfinite, .forward_kl = 1e9});
    rows.push_back({});
    const auto d = summarize(rows);
    CHECK(d.rows == 4);
    CHECK(d.nonfinite_rows == 1);
    CHECK(d.rows_with_token == 4);
    CHECK(d.forward_kl.mean == 3.0);
    CHECK(d.forward_kl.deviation == doctest::Approx(std::sqrt(14.0 / 3.0)).epsilon(1e-14));
    CHECK(d.forward_kl.standard_error == doctest::Approx(std::sqrt(14.0 / 12.0)).epsilon(1e-14));
    CHECK(d.forward_kl.smallest == 1.0);
    CHECK(d.forward_kl.largest == 6.0);
    CHECK(d.forward_kl.median() == 2.5);
    CHECK(d.forward_kl.percentiles.front() == doctest::Approx(1.003).epsilon(1e-12));
    CHECK(d.same_top.mean == 0.5);
    CHECK(d.mismatch == 0.5);
    CHECK(d.thin_top_100 == 0.5);
    CHECK(d.top_overlap[0].mean == 0.5);
    CHECK(d.teacher_mass[2].mean == doctest::Approx(0.3).epsilon(1e-14));
    CHECK(d.teacher_perplexity == doctest::Approx(std::pow(0.25 * 0.5 * 0.5 * 0.5, -0.25)).epsilon(1e-14));
    CHECK(d.student_perplexity == doctest::Approx(std::pow(0.5 * 0.25 * 0.5 * 0.125, -0.25)).epsilon(1e-14));
    CHECK(d.log_ratio.mean == doctest::Approx((std::log(2.0) - std::log(2.0) + 0.0 - std::log(4.0)) / 4.0).epsilon(1e-14));
    CHECK(d.probability_difference.mean == doctest::Approx((0.25 - 0.25 + 0.0 - 0.375) / 4.0).epsilon(1e-14));
    CHECK(d.ratio_above_one == 0.25);
    CHECK(d.root_mean_square_difference == doctest::Approx(std::sqrt((0.0625 + 0.0625 + 0.140625) / 4.0)).epsilon(1e-14));
}

TEST_CASE("one row has a mean and no error; no row has nothing") {
    const auto one = summarize(std::vector<row_diagnosis>{row_of(2.0, 0.5, 0.5, true)});
    CHECK(one.forward_kl.mean == 2.0);
    CHECK(one.forward_kl.median() == 2.0);
    CHECK(!distill::is_finite(one.forward_kl.standard_error));
    const auto none = summarize({});
    CHECK(none.rows == 0);
    CHECK(!distill::is_finite(none.forward_kl.mean));
    CHECK(!distill::is_finite(none.forward_kl.percentiles[3]));
    CHECK(!distill::is_finite(none.teacher_perplexity));
}
