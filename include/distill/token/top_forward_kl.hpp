#pragma once

#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// What a forward KL on the teacher's most probable tokens S does with the mass outside. q~ and p~ are q and p over their
/// sums on S.
enum class truncation {
    teacher_renormalized,   ///< sum_S q~ (log q~ - log p): never negative; at k = 1 the cross-entropy on the teacher's token
    teacher_truncated,      ///< sum_S q (log q - log p): of either sign, with the same minimiser
    blind_to_mass_outside,  ///< sum_S q~ (log q~ - log p~): compares shapes on S, and pulls no mass into it
};

/// Forward KL from the teacher's most probable tokens alone. on_top_tokens{forward_kl{}} counts the rest as one entry and is
/// the one to take; these are what trainers compute.
///
/// Summand      as the truncation says, over the tokens of the set
/// Derivative   -q~ or -q, with respect to log p: dL/dz = (p - q~ 1_S) / T or (q(S) p - q 1_S) / T; with both renormalised
///              (p~ - q~) / T on S and 0 elsewhere, which vanishes where the student has no mass on S
/// Domain       batch.top_tokens and batch.top_log_probs, log q over the whole vocabulary at the temperature that is meant
/// At p = q     derivative 0 for the last alone; the others pull mass into the set until there is none outside
/// Accuracy     once per row in double
/// Source       Teacher-Guided Policy Optimization's public code (arXiv 2605.13230), two versions: the first and the last;
///              EOPD (arXiv 2603.07079) and TrOPD (arXiv 2606.01249): the second
template <truncation Form = truncation::teacher_renormalized>
struct top_forward_kl : token_set_term<top_forward_kl<Form>> {
    template <class T>
    constexpr summand<T> inside(const entry<T>& e, const token_set<T>& set) const {
        const T none(0.0), least(smallest_normal);
        if constexpr (Form == truncation::teacher_truncated) {
            return {.value = -e.q * e.log_ratio, .dlogp = -e.q};
        } else {
            const T inside = max(set.teacher_inside, least), q = e.q / inside, log_q = e.log_q - log(inside);
            if constexpr (Form == truncation::teacher_renormalized)
                return {.value = select(q > none, q * (log_q - e.log_p), none), .dlogp = -q};
            const T student = max(set.student_inside, least), p = e.p / student, log_p = e.log_p - log(student);
            return {.value = select(q > none, q * (log_q - log_p), none), .dlogp = p - q};
        }
    }
    template <class T>
    constexpr summand<T> outside(const entry<T>&) const {
        return {.value = T(0.0), .dlogp = T(0.0)};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
