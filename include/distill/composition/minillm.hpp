#pragma once

#include <distill/divergence/reverse_kl.hpp>
#include <distill/token/clipped_surrogate.hpp>

namespace distill::inline DISTILL_ABI {

/// MiniLLM: sequence-level reverse KL by policy gradient, its first step exact.
///
///     clipped_surrogate{surrogate} + single_step * reverse_kl{}
///
/// The advantages are the later tokens' returns of log q - log p, normalised by length, as the caller computes them: the
/// single-step part is the present token's own expectation. Without them, `surrogate_weight = 0` leaves the exact part
/// alone. The language-model loss on data is a call of its own, on other rows. Source: Gu et al. 2024 (arXiv 2306.08543).
struct minillm {
    using objective_part = composition_part;

    double single_step = 1.0;
    double surrogate_weight = 1.0;
    clipped_surrogate surrogate{};

    [[nodiscard]] constexpr auto compose() const { return surrogate_weight * surrogate + single_step * reverse_kl{}; }
};

}  // namespace distill::inline DISTILL_ABI
