#pragma once

#include <distill/token/clipped_surrogate.hpp>
#include <distill/token/kl_estimator.hpp>

namespace distill::inline DISTILL_ABI {

/// KDRL: a clipped surrogate on verifiable rewards plus reverse KL to the teacher on the sampled token, by the k2 estimator.
///
///     clipped_surrogate{surrogate} + coefficient * kl_estimator<k2, k2>{}
///
/// The student learns nothing about a token that it does not sample: where student and teacher are far apart, see tgpo.
/// Source: arXiv 2506.02208; the default coefficient is the one reported there.
struct kdrl {
    using objective_part = composition_part;

    double coefficient = 2e-3;
    clipped_surrogate surrogate{};

    [[nodiscard]] constexpr auto compose() const {
        return 1.0 * surrogate + coefficient * kl_estimator<kl_estimate::k2, kl_estimate::k2>{};
    }
};

}  // namespace distill::inline DISTILL_ABI
