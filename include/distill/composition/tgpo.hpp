#pragma once

#include <distill/token/clipped_surrogate.hpp>
#include <distill/token/teacher_guidance.hpp>

namespace distill::inline DISTILL_ABI {

/// Teacher-Guided Policy Optimization: a clipped surrogate on verifiable rewards plus the cross-entropy on the teacher's
/// token given the student's prefix, with a coefficient that decays to zero (training/annealing.hpp).
///
///     clipped_surrogate{surrogate} + coefficient * teacher_guidance{}
///
/// At coefficient 0 the teacher is neither needed nor read. The guidance carries no importance ratio. The authors' code
/// divides both parts by the number of valid tokens of the batch: token_mean.
/// Source: arXiv 2605.13230, Eqs. 3, 4 and 6.
struct tgpo {
    using objective_part = composition_part;

    double coefficient = 2e-3;
    clipped_surrogate surrogate{};

    [[nodiscard]] constexpr auto compose() const { return 1.0 * surrogate + coefficient * teacher_guidance{}; }
};

}  // namespace distill::inline DISTILL_ABI
