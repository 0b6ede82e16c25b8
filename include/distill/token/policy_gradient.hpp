#pragma once

#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// Score-function policy gradient  -A log p(y)  on the sampled token, the advantage A held constant.
///
/// Summand      -A log p(y)
/// Derivative   -A at y                        so dL/dz = -A (e_y - p) / T
/// Domain       any finite advantage. With A = log q(y) - log p(y) its expectation over y is the gradient of KL(p || q)
/// At p = q     depends on the advantage alone
/// Accuracy     the softmax's own
/// Source       Williams 1992, REINFORCE
struct policy_gradient : token_term<policy_gradient> {
    static constexpr token_source token = token_source::sampled;
    static constexpr fields needs = fields::advantages;

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        return {.value = -e.advantage * e.log_p, .dlogp = -e.advantage};
    }
};

}  // namespace distill::inline DISTILL_ABI
