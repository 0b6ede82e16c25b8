/// Logit soft-capping.
#pragma once

#include <distill/core/number.hpp>

namespace distill::inline DISTILL_ABI {

/// For models whose head ends in c tanh(x / c), called on what comes before it: the softmaxes are those of the capped
/// logits, p = softmax(c tanh(z / c) / T), and the gradient is that with respect to z, with the chain rule's factor 1 -
/// tanh(z / c)^2. Entries at or below -2^100 stay masked, with a gradient of 0; every other finite logit is capped. Logits
/// that are capped already need no soft_cap.
///
/// Each lies in [smallest_soft_cap, largest_soft_cap], or is 0: no cap. Source: Gemma 2 (arXiv 2408.00118), c = 30.
struct soft_cap {
    double student = 0.0;
    double teacher = 0.0;

    constexpr soft_cap() = default;
    /// The same cap for both.
    constexpr explicit soft_cap(double both) noexcept : student(both), teacher(both) {}
    constexpr soft_cap(double for_student, double for_teacher) noexcept : student(for_student), teacher(for_teacher) {}
};

/// In place of a soft_cap: costs nothing.
struct no_soft_cap {};

inline constexpr double smallest_soft_cap = 1e-3;
inline constexpr double largest_soft_cap = 1e6;

}  // namespace distill::inline DISTILL_ABI
