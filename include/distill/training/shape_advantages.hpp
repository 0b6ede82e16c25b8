/// TGPO_R: the teacher's label as a reward. A control: it carries no learning signal of its own.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/row_array.hpp>
#include <distill/training/detail/arguments.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>

namespace distill::inline DISTILL_ABI {

/// What of the student's log p(y*) is added to the advantage.
enum class label_reward {
    log_probability,  ///< log p(y*), as the paper's Eq. 5
    probability,      ///< p(y*), as the authors' code
};

/// out[i] = advantages[i] + coefficient * (log p(y*_i), or p(y*_i)), to be used as batch.advantages. y* is a function of the
/// prefix, so what is added does not depend on the sampled token: a baseline, whose expected policy gradient is zero. Where
/// teacher and student differ it does not say in which direction; teacher_guidance does. label_log_probs are the negatives
/// of per_token of teacher_guidance. `out` may be the advantages' own buffer. Errors: sizes that differ. Source: arXiv
/// 2605.13230, Eq. 5, where it is called TGPO_R, and its public code, whose coefficient is 0.02.
template <class Float>
void shape_advantages(detail::passed<row_values> advantages, detail::passed<row_values> label_log_probs, double coefficient,
                      label_reward reward, std::span<Float> out) {
    const std::ptrdiff_t rows = advantages.size();
    if (!detail::are_alike({"advantages", advantages}, {{"label_log_probs", label_log_probs}, {"out", out}})) return;
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
        const double log_p = label_log_probs[i];
        const double added = reward == label_reward::log_probability ? log_p : std::exp(log_p);
        out[static_cast<std::size_t>(i)] = static_cast<Float>(advantages[i] + coefficient * added);
    }
}

}  // namespace distill::inline DISTILL_ABI
