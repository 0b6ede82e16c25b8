/// Coefficients that decay over training.
#pragma once

#include <distill/core/abi.hpp>

namespace distill::inline DISTILL_ABI {

/// TGPO's schedule: step s = 1, 2, ... has max(initial - (s - 1) * decrement, floor). With the defaults step 1 has 2e-3 and
/// step 201 has 0. Source: arXiv 2605.13230 and its public code, which counts steps from 1.
struct linear_annealing {
    double initial = 2e-3;
    double decrement = 1e-5;
    double floor = 0.0;

    template <class Step>
    [[nodiscard]] constexpr double operator()(Step step) const noexcept {
        const double decayed = initial - (static_cast<double>(step) - 1.0) * decrement;
        // What remains of `initial` after rounding is no coefficient: exactly the floor, so that the teacher can be skipped.
        return decayed > floor + 1e-9 * decrement ? decayed : floor;
    }
};

}  // namespace distill::inline DISTILL_ABI
