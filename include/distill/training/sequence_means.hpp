/// One number per sequence, from and to one number per row.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/row_array.hpp>
#include <distill/training/detail/arguments.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace distill::inline DISTILL_ABI {

/// out[i] = the mean of `values` over the rows of row i's sequence; sequence s has the rows [offsets[s], offsets[s + 1]).
/// With weights, the weighted mean; a row of weight 0 is not read, and a sequence of such rows gets 0. `out` may be the
/// values' own buffer. Errors: sizes that differ, offsets that do not cover the rows.
///
/// GSPO's batch.sequence_log_ratios are the sequence means of log p(y) - log p_old(y).
template <class Float>
void sequence_means(detail::passed<row_values> values, detail::passed<row_indices> sequence_offsets, std::span<Float> out,
                    detail::passed<row_values> weights = {}) {
    const std::ptrdiff_t rows = values.size();
    if (!detail::are_alike({"values", values}, {{"out", out}})) return;
    if (!weights.empty() && !detail::are_alike({"values", values}, {{"weights", weights}})) return;
    if (!detail::offsets_cover("sequence_offsets", sequence_offsets, rows)) return;
    for (std::ptrdiff_t s = 0; s + 1 < sequence_offsets.size(); ++s) {
        const auto begin = static_cast<std::ptrdiff_t>(sequence_offsets[s]);
        const auto end = static_cast<std::ptrdiff_t>(sequence_offsets[s + 1]);
        double sum = 0.0, weight = 0.0;
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            const double w = weights.empty() ? 1.0 : weights[i];
            if (w == 0.0) continue;
            sum += w * values[i];
            weight += w;
        }
        const double mean = weight > 0.0 ? sum / weight : 0.0;
        for (std::ptrdiff_t i = begin; i < end; ++i) out[static_cast<std::size_t>(i)] = static_cast<Float>(mean);
    }
}

/// out[i] = per_sequence[s] for every row i of sequence s: rewards, advantages or gates of rollouts, as rows need them.
/// Errors: a length of per_sequence that is not the number of sequences, offsets that do not cover the rows.
template <class Float>
void spread_over_rows(detail::passed<row_values> per_sequence, detail::passed<row_indices> sequence_offsets,
                      std::span<Float> out) {
    if (!detail::is_given({"out", out}) || !detail::is_given({"per_sequence", per_sequence})) return;
    if (!detail::offsets_cover("sequence_offsets", sequence_offsets, static_cast<std::ptrdiff_t>(out.size()))) return;
    if (per_sequence.size() != sequence_offsets.size() - 1)
        return report_error({"per_sequence has ", per_sequence.size(), " elements, sequence_offsets name ",
                             sequence_offsets.size() - 1, " sequences"});
    for (std::ptrdiff_t s = 0; s + 1 < sequence_offsets.size(); ++s)
        for (auto i = sequence_offsets[s]; i < sequence_offsets[s + 1]; ++i)
            out[static_cast<std::size_t>(i)] = static_cast<Float>(per_sequence[s]);
}

}  // namespace distill::inline DISTILL_ABI
