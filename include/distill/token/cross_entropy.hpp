#pragma once

#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// Cross-entropy on a hard label  -log p(label). A row whose label is ignored_label (-100) is masked.
///
/// Summand      -log p(label)
/// Derivative   -1 at the label                so dL/dz = (p - e_label) / T
/// Domain       label in [0, vocabulary), or ignored_label
/// At p = q     not a divergence: value -log p(label)
/// Accuracy     the softmax's own; 1 - p(label) to the rounding of the normaliser, 3e-8 from fp32 logits and 1e-14 from
///              double ones
/// Source       the ordinary language-model loss
struct cross_entropy : token_term<cross_entropy> {
    static constexpr token_source token = token_source::label;

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        return {.value = -e.log_p, .dlogp = T(-1.0)};
    }
};

}  // namespace distill::inline DISTILL_ABI
