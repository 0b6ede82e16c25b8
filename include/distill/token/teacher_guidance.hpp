#pragma once

#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// TGPO's guidance: cross-entropy  -log p(y*)  on the token that the teacher predicts given the student's own prefix. Unlike
/// reverse KL, its pull on a token that the student lacks does not vanish with p: the gradient at y* tends to -1.
///
/// Summand      -log p(y*)
/// Derivative   -1 at y*                       so dL/dz = (p - e_y*) / T
/// Domain       y* = batch.teacher_tokens, or the argmax of the teacher's logits, the lowest id on ties
/// At p = q     not a divergence: its fixed point is the teacher's argmax, so its coefficient decays to zero
/// Accuracy     the softmax's own; 1 - p(y*) to the rounding of the normaliser, 3e-8 from fp32 logits and 1e-14 from double
///              ones
/// Source       Teacher-Guided Policy Optimization, Eq. 3 (arXiv 2605.13230)
struct teacher_guidance : token_term<teacher_guidance> {
    static constexpr token_source token = token_source::teacher_predicted;

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        return {.value = -e.log_p, .dlogp = T(-1.0)};
    }
};

}  // namespace distill::inline DISTILL_ABI
