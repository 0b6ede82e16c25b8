/// Row diagnoses of a batch, or of many, as the numbers that are printed.
#pragma once

#include <distill/core/number.hpp>
#include <distill/core/quantile.hpp>
#include <distill/core/sort.hpp>
#include <distill/diagnosis/row_diagnosis.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>

namespace distill::inline DISTILL_ABI {

/// One quantity over rows. The standard error is that of a mean of independent rows; rows of one rollout are not
/// independent. NaN everywhere where no row has the quantity.
struct statistic {
    static constexpr std::array<double, 9> shares{0.001, 0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999};

    double mean = quiet_nan();
    double standard_error = quiet_nan();
    double deviation = quiet_nan();  ///< of the rows, with N - 1
    double smallest = quiet_nan();
    double largest = quiet_nan();
    std::array<double, 9> percentiles = all_nan();  ///< at `shares`, between neighbours in proportion

    [[nodiscard]] constexpr double median() const noexcept { return percentiles[4]; }

private:
    static constexpr std::array<double, 9> all_nan() noexcept {
        std::array<double, 9> values{};
        for (double& value : values) value = quiet_nan();
        return values;
    }
};

/// What student and teacher have in common over the rows that could be diagnosed. A perplexity's standard error is the
/// first-order one, the perplexity times that of the mean log-probability.
struct diagnosis {
    std::ptrdiff_t rows = 0;  ///< diagnosed rows: the number behind every statistic of the vocabulary
    std::ptrdiff_t nonfinite_rows = 0;
    std::ptrdiff_t rows_with_token = 0;  ///< the number behind every statistic of the sampled token

    statistic forward_kl, reverse_kl, jensen_shannon, total_variation, student_entropy, teacher_entropy;
    statistic same_top;                     ///< 1 where argmax p = argmax q: the mean is the agreement
    statistic teacher_top_log_p;            ///< log p(y*)
    std::array<statistic, 3> top_overlap;   ///< row_diagnosis::overlap_sizes
    std::array<statistic, 7> teacher_mass;  ///< row_diagnosis::mass_sizes
    double thin_top_100 = quiet_nan();  ///< share of rows on which the teacher's 100 most probable tokens have less than 0.9

    statistic log_ratio;               ///< log p(y) - log q(y): the density ratio; its mean estimates KL(p || q) where y ~ p
    statistic probability_difference;  ///< p(y) - q(y)
    double ratio_above_one = quiet_nan();                                             ///< share of rows with p(y) > q(y)
    double root_mean_square_difference = quiet_nan();                                 ///< of p(y) - q(y)
    double student_perplexity = quiet_nan(), student_perplexity_error = quiet_nan();  ///< exp(-mean log p(y))
    double teacher_perplexity = quiet_nan(),
           teacher_perplexity_error = quiet_nan();  ///< exp(-mean log q(y)) on the student's tokens
    double mismatch = quiet_nan();  ///< share of rows with y* != y: 1 - E[q_max] even where p = q, since y is sampled
};

namespace detail {

/// The statistic of the values of `quantity(row)` over rows for which `has(row)`.
template <class Has, class Quantity>
statistic statistic_of(std::span<const row_diagnosis> rows, const Has& has, const Quantity& quantity) {
    const std::unique_ptr<double[]> memory(new double[rows.size()]);
    std::size_t held = 0;
    for (const row_diagnosis& row : rows)
        if (has(row)) memory[held++] = static_cast<double>(quantity(row));
    const std::span<double> values(memory.get(), held);
    statistic found;
    if (values.empty()) return found;
    const auto count = static_cast<double>(values.size());
    double sum = 0.0, squares = 0.0;
    for (const double x : values) sum += x;
    found.mean = sum / count;
    for (const double x : values) squares += (x - found.mean) * (x - found.mean);
    if (values.size() > 1) {
        found.deviation = std::sqrt(squares / (count - 1.0));
        found.standard_error = found.deviation / std::sqrt(count);
    }
    sort(values);
    found.smallest = values.front();
    found.largest = values.back();
    for (std::size_t i = 0; i < found.percentiles.size(); ++i)
        found.percentiles[i] = quantile_of_sorted(values, statistic::shares[i]);
    return found;
}

}  // namespace detail

/// Masked rows do not count; rows that are not finite are counted and left out. Every other row counts once, whatever its
/// weight.
[[nodiscard]] inline diagnosis summarize(std::span<const row_diagnosis> rows) {
    const auto diagnosed = [](const row_diagnosis& row) { return row.state == row_state::diagnosed; };
    const auto with_token = [&](const row_diagnosis& row) { return diagnosed(row) && row.has_token; };
    const auto over_rows = [&](const auto& quantity) { return detail::statistic_of(rows, diagnosed, quantity); };
    const auto over_tokens = [&](const auto& quantity) { return detail::statistic_of(rows, with_token, quantity); };
    using row = row_diagnosis;

    diagnosis found;
    for (const row& r : rows) {
        found.rows += diagnosed(r) ? 1 : 0;
        found.nonfinite_rows += r.state == row_state::nonfinite ? 1 : 0;
        found.rows_with_token += with_token(r) ? 1 : 0;
    }
    found.forward_kl = over_rows([](const row& r) { return r.forward_kl; });
    found.reverse_kl = over_rows([](const row& r) { return r.reverse_kl; });
    found.jensen_shannon = over_rows([](const row& r) { return r.jensen_shannon; });
    found.total_variation = over_rows([](const row& r) { return r.total_variation; });
    found.student_entropy = over_rows([](const row& r) { return r.student_entropy; });
    found.teacher_entropy = over_rows([](const row& r) { return r.teacher_entropy; });
    found.same_top = over_rows([](const row& r) { return r.student_top == r.teacher_top ? 1 : 0; });
    found.teacher_top_log_p = over_rows([](const row& r) { return r.teacher_top_log_p; });
    for (std::size_t i = 0; i < found.top_overlap.size(); ++i)
        found.top_overlap[i] = over_rows([i](const row& r) { return r.top_overlap[i]; });
    for (std::size_t i = 0; i < found.teacher_mass.size(); ++i)
        found.teacher_mass[i] = over_rows([i](const row& r) { return r.teacher_mass[i]; });
    constexpr auto hundred =
        static_cast<std::size_t>(std::find(row::mass_sizes.begin(), row::mass_sizes.end(), 100) - row::mass_sizes.begin());
    found.thin_top_100 = over_rows([](const row& r) { return r.teacher_mass[hundred] < 0.9 ? 1 : 0; }).mean;
    if (found.rows_with_token == 0) return found;

    found.log_ratio = over_tokens([](const row& r) { return r.token_log_p - r.token_log_q; });
    const auto difference = [](const row& r) { return std::exp(r.token_log_p) - std::exp(r.token_log_q); };
    found.probability_difference = over_tokens(difference);
    found.root_mean_square_difference =
        std::sqrt(over_tokens([&](const row& r) { return difference(r) * difference(r); }).mean);
    found.ratio_above_one = over_tokens([](const row& r) { return r.token_log_p > r.token_log_q ? 1 : 0; }).mean;
    const statistic log_p = over_tokens([](const row& r) { return r.token_log_p; });
    const statistic log_q = over_tokens([](const row& r) { return r.token_log_q; });
    found.student_perplexity = std::exp(-log_p.mean);
    found.student_perplexity_error = found.student_perplexity * log_p.standard_error;
    found.teacher_perplexity = std::exp(-log_q.mean);
    found.teacher_perplexity_error = found.teacher_perplexity * log_q.standard_error;
    found.mismatch = over_tokens([](const row& r) { return r.teacher_top != r.token ? 1 : 0; }).mean;
    return found;
}

}  // namespace distill::inline DISTILL_ABI
