#pragma once

#include <distill/divergence/uniform_cross_entropy.hpp>
#include <distill/token/cross_entropy.hpp>

namespace distill::inline DISTILL_ABI {

/// Cross-entropy on a hard label with label smoothing: the target has 1 - smoothing on the label, and the rest spread evenly
/// over the entries that the student does not mask, the label among them.
///
///     (1 - smoothing) * cross_entropy{} + smoothing * uniform_cross_entropy{}
///
/// Source: Szegedy et al. 2016 (arXiv 1512.00567).
struct smoothed_cross_entropy {
    using objective_part = composition_part;

    double smoothing = 0.1;

    [[nodiscard]] constexpr auto compose() const {
        return (1.0 - smoothing) * cross_entropy{} + smoothing * uniform_cross_entropy{};
    }
};

}  // namespace distill::inline DISTILL_ABI
