/// Factors per row for batch.coefficients: which rows a term marked with per_row acts on, and how strongly.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/number.hpp>
#include <distill/core/quantile.hpp>
#include <distill/core/row_array.hpp>
#include <distill/core/sort.hpp>
#include <distill/training/detail/arguments.hpp>

#include <cmath>
#include <cstddef>
#include <memory>
#include <span>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// out[i] = factor(values[i]), after the check that both are there and of one size.
template <class Float, class Factor>
void gate(detail::passed<row_values> values, std::span<Float> out, const Factor& factor) {
    if (!are_alike({"values", values}, {{"out", out}})) return;
    for (std::ptrdiff_t i = 0; i < values.size(); ++i)
        out[static_cast<std::size_t>(i)] = static_cast<Float>(factor(values[i]));
}

}  // namespace detail

/// out[i] = 1 where values[i] > threshold, else 0: guidance on uncertain tokens, with the rows' entropies
/// (`loss{entropy{}, ...}.per_token`; of the teacher, with the teacher's logits as the student).
/// Errors: sizes that differ. Source of entropy gates: EOPD (arXiv 2603.07079), the teacher's entropy above 0.8 nats.
template <class Float>
void gate_above(detail::passed<row_values> values, double threshold, std::span<Float> out) {
    detail::gate(values, out, [=](double x) { return x > threshold ? 1.0 : 0.0; });
}

/// out[i] = 1 where values[i] < threshold, else 0: guidance on failed rollouts, with their rewards spread over rows.
template <class Float>
void gate_below(detail::passed<row_values> values, double threshold, std::span<Float> out) {
    detail::gate(values, out, [=](double x) { return x < threshold ? 1.0 : 0.0; });
}

/// out[i] = 1 / (1 + exp(advantages[i])): the sigmoid of -A, stronger guidance on worse rollouts.
/// Errors: sizes that differ. Source: a variant in the public code of TGPO (arXiv 2605.13230).
template <class Float>
void gate_by_failure(detail::passed<row_values> advantages, std::span<Float> out) {
    detail::gate(advantages, out, [](double a) {
        const double e = std::exp(-(std::abs)(a));
        return (a > 0.0 ? e : 1.0) / (1.0 + e);
    });
}

/// The value at `share` of the way up the sorted values, between neighbours in proportion: the threshold of "above the 0.8
/// quantile". Rows of weight 0 do not count, nor do values that are NaN, as the losses of rows that are not finite.
/// Allocates a copy. Errors: no value that counts, a share outside [0, 1], sizes that differ.
[[nodiscard]] inline double quantile(detail::passed<row_values> values, double share,
                                     detail::passed<row_values> weights = {}) {
    const auto refuse = [](detail::sentence_parts message) {
        report_error(message);
        return quiet_nan();
    };
    if (weights.empty() ? !detail::is_given({"values", values})
                        : !detail::are_alike({"values", values}, {{"weights", weights}}))
        return quiet_nan();
    if (!(is_finite(share) && share >= 0.0 && share <= 1.0))
        return refuse({"share is ", share, ", expected a number in [0, 1]"});
    const std::unique_ptr<double[]> memory(new double[static_cast<std::size_t>(values.size())]);
    std::size_t held = 0;
    for (std::ptrdiff_t i = 0; i < values.size(); ++i)
        if ((weights.empty() || weights[i] != 0.0) && !is_nan(values[i])) memory[held++] = values[i];
    if (held == 0) return refuse({"a quantile of no values"});
    const std::span<double> sorted(memory.get(), held);
    detail::sort(sorted);
    return detail::quantile_of_sorted(sorted, share);
}

}  // namespace distill::inline DISTILL_ABI
