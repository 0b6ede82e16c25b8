#pragma once

#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// z-loss  (log sum_v exp(z_v / T))^2: keeps the student's logits from drifting, to which every other term is blind.
///
/// Summand      (log Z)^2, once per row
/// Derivative   2 log Z with respect to log Z: dL/dz = 2 log Z p / T, which sums to 2 log Z / T over the row, not to 0
/// Domain       any logits
/// At p = q     not a divergence: 0 where Z = 1. The teacher is not read
/// Accuracy     log Z in double, from a normaliser that fp32 logits give to 3e-8
/// Source       Chowdhery et al. 2022, PaLM (arXiv 2204.02311), whose coefficient is 1e-4
struct z_loss : normalizer_term<z_loss> {
    template <class T>
    constexpr T operator()(const T& log_normalizer) const {
        return log_normalizer * log_normalizer;
    }
};

}  // namespace distill::inline DISTILL_ABI
