/// Advantages from rewards, per group of rollouts of one prompt.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/number.hpp>
#include <distill/core/row_array.hpp>
#include <distill/training/detail/arguments.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>

namespace distill::inline DISTILL_ABI {

enum class advantage_scale {
    sample_deviation,      ///< GRPO as the trainers compute it: divide by the deviation with N - 1
    population_deviation,  ///< divide by the deviation with N
    none,                  ///< Dr. GRPO: only subtract the mean
};

/// advantages[i] = (rewards[i] - mean) / (deviation + epsilon) within each group; group g has the elements
/// [group_offsets[g], group_offsets[g + 1]). A group whose rewards are all equal, or of one, gets zeros: it carries no
/// signal. `advantages` may be the rewards' own buffer. Errors: sizes that differ, offsets that do not cover the rewards.
/// Source: Shao et al. 2024 (arXiv 2402.03300); Liu et al. 2025, Dr. GRPO (arXiv 2503.20783).
template <class Float>
void group_advantages(detail::passed<row_values> rewards, detail::passed<row_indices> group_offsets,
                      std::span<Float> advantages, advantage_scale scale = advantage_scale::sample_deviation,
                      double epsilon = 1e-6) {
    const std::ptrdiff_t count = rewards.size();
    if (!detail::are_alike({"rewards", rewards}, {{"advantages", advantages}})) return;
    if (!(is_finite(epsilon) && epsilon >= 0.0)) return report_error({"epsilon is ", epsilon, ", expected at least 0"});
    if (!detail::offsets_cover("group_offsets", group_offsets, count)) return;

    for (std::ptrdiff_t g = 0; g + 1 < group_offsets.size(); ++g) {
        const auto begin = static_cast<std::ptrdiff_t>(group_offsets[g]);
        const auto end = static_cast<std::ptrdiff_t>(group_offsets[g + 1]);
        double sum = 0.0;
        bool degenerate = true;
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            sum += rewards[i];
            degenerate = degenerate && rewards[i] == rewards[begin];
        }
        const double mean = degenerate ? 0.0 : sum / static_cast<double>(end - begin);
        double squares = 0.0;
        for (std::ptrdiff_t i = begin; i < end; ++i) squares += (rewards[i] - mean) * (rewards[i] - mean);
        double divisor = 1.0;
        if (scale == advantage_scale::sample_deviation)
            divisor = std::sqrt(squares / static_cast<double>(end - begin - 1)) + epsilon;
        if (scale == advantage_scale::population_deviation)
            divisor = std::sqrt(squares / static_cast<double>(end - begin)) + epsilon;
        for (std::ptrdiff_t i = begin; i < end; ++i)
            advantages[static_cast<std::size_t>(i)] =
                degenerate ? Float(0) : static_cast<Float>((rewards[i] - mean) / divisor);
    }
}

}  // namespace distill::inline DISTILL_ABI
