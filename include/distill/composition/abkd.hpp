#pragma once

#include <distill/divergence/alpha_beta.hpp>
#include <distill/token/cross_entropy.hpp>

namespace distill::inline DISTILL_ABI {

/// ABKD: the alpha-beta divergence, mixed with the language-model loss on hard labels.
///
///     (1 - ratio) * cross_entropy{} + ratio * alpha_beta{alpha, beta}
///
/// At ratio 1 no label is needed.
/// Source: Wang et al. 2025 (arXiv 2505.04560); the defaults are those of its scripts.
struct abkd {
    using objective_part = composition_part;

    double ratio = 1.0;
    double alpha = 0.2;
    double beta = 0.7;

    [[nodiscard]] constexpr auto compose() const {
        return (1.0 - ratio) * cross_entropy{} + ratio * alpha_beta{alpha, beta};
    }
};

}  // namespace distill::inline DISTILL_ABI
