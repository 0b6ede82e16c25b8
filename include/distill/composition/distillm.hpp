#pragma once

#include <distill/divergence/skew_reverse_kl.hpp>
#include <distill/token/cross_entropy.hpp>

namespace distill::inline DISTILL_ABI {

/// DistiLLM: skew reverse KL, mixed with the language-model loss on hard labels.
///
///     (1 - ratio) * cross_entropy{} + ratio * skew_reverse_kl{skew}
///
/// At ratio 1 no label is needed. For its skew forward KL write `skew_forward_kl{0.1}` in the place of the divergence.
/// Source: Ko et al. 2024 (arXiv 2402.03898); the defaults are those of its scripts.
struct distillm {
    using objective_part = composition_part;

    double ratio = 1.0;
    double skew = 0.1;

    [[nodiscard]] constexpr auto compose() const { return (1.0 - ratio) * cross_entropy{} + ratio * skew_reverse_kl{skew}; }
};

}  // namespace distill::inline DISTILL_ABI
