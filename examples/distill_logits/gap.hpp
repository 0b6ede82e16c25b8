// How far apart student and teacher are, as a page of numbers and as a histogram.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <numbers>
#include <ostream>
#include <span>
#include <vector>

#include "rollout.hpp"

namespace gap {

inline std::vector<distill::row_diagnosis> diagnosed(const rollout& r) {
    std::vector<distill::row_diagnosis> rows(r.student.shape(0));
    distill::diagnose(r.batch(), distill::eigen{}, std::span(rows));
    return rows;
}

// Rows by the decade of p(y*): bin d holds 10^-d >= p(y*) > 10^-(d + 1), the last one all that is less.
inline constexpr std::size_t decades = 8;
inline std::array<int, decades> teacher_token_decades(const std::vector<distill::row_diagnosis>& rows) {
    std::array<int, decades> counts{};
    for (const auto& row : rows) {
        const double decade = -row.teacher_top_log_p / std::numbers::ln10;
        ++counts[std::min(static_cast<std::size_t>(std::max(decade, 0.0)), decades - 1)];
    }
    return counts;
}

inline void print_statistic(const char* name, const distill::statistic& s) {
    std::printf("  %-22s %10.5f +- %-9.5f %10.5f %10.5f %10.5f\n", name, s.mean, s.standard_error, s.median(),
                s.percentiles[6], s.largest);
}

inline void print(const rollout& r) {
    const auto rows = diagnosed(r);
    const distill::diagnosis d = distill::summarize(rows);
    std::printf("\n%s: %td rows, vocabulary %zu\n", r.name.c_str(), d.rows, r.student.shape(1));
    std::printf("  %-22s %10s    %-9s %10s %10s %10s\n", "nats", "mean", "error", "median", "95 %", "largest");
    if (d.rows == 1) std::printf("  (nan: one row has no standard error)\n");
    print_statistic("forward KL(q||p)", d.forward_kl);
    print_statistic("reverse KL(p||q)", d.reverse_kl);
    print_statistic("Jensen-Shannon 0.5", d.jensen_shannon);
    print_statistic("total variation", d.total_variation);
    print_statistic("entropy, student", d.student_entropy);
    print_statistic("entropy, teacher", d.teacher_entropy);
    std::printf("  top-1 agreement %.1f +- %.1f %%, overlap of the top 5 %.1f %%, of the top 10 %.1f %%\n",
                100.0 * d.same_top.mean, 100.0 * d.same_top.standard_error, 100.0 * d.top_overlap[1].mean,
                100.0 * d.top_overlap[2].mean);
    std::printf("  teacher's mass in its top 1, 10, 100, 1000: %.3f, %.3f, %.3f, %.3f\n", d.teacher_mass[0].mean,
                d.teacher_mass[2].mean, d.teacher_mass[5].mean, d.teacher_mass[6].mean);
    std::printf("  rows with p(y*) in (0.1, 1], (0.01, 0.1], ... at most 1e-7:");
    for (const int count : teacher_token_decades(rows)) std::printf(" %d", count);
    std::printf("\n");
    if (d.rows_with_token == 0) return;
    std::printf("  on the student's tokens: teacher perplexity %.3f +- %.3f, the student's own %.3f\n", d.teacher_perplexity,
                d.teacher_perplexity_error, d.student_perplexity);
    std::printf("  log p(y) - log q(y): mean %.3f, deviation %.3f, 5 %% %.3f, 95 %% %.3f, above 0 on %.0f %% of rows\n",
                d.log_ratio.mean, d.log_ratio.deviation, d.log_ratio.percentiles[2], d.log_ratio.percentiles[6],
                100.0 * d.ratio_above_one);
    std::printf("  p(y) - q(y): mean %.4f, root mean square %.4f; y is not y* on %.0f %% of rows\n",
                d.probability_difference.mean, d.root_mean_square_difference, 100.0 * d.mismatch);
}

// One line per decade: its exponent, and the rows of each rollout in it.
inline void write_histogram(std::ostream& file, const std::vector<rollout>& rollouts) {
    std::vector<std::array<int, decades>> counts;
    for (const rollout& r : rollouts) counts.push_back(teacher_token_decades(diagnosed(r)));
    for (std::size_t d = 0; d < decades; ++d) {
        file << -static_cast<int>(d) - 1;
        for (const auto& of_rollout : counts) file << '\t' << of_rollout[d];
        file << '\n';
    }
}

}  // namespace gap
