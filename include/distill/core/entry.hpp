/// What a term sees (an entry) and what it returns (a summand).
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/dual.hpp>

namespace distill::inline DISTILL_ABI {

/// One vocabulary entry of one row: student p = softmax(z / T), teacher q = softmax(w / T).
///
/// `log_ratio` is log p - log q and `difference` is p - q, both formed from the logits without subtracting two rounded
/// numbers: where p and q nearly agree, `e.difference` keeps digits that `e.p - e.q` has lost. Log-probabilities are never
/// below `log_probability_floor` and `log_ratio` is in [-1e6, 1e6], so products such as `e.p * e.log_q` are always finite; a
/// masked entry has p = 0 exactly. Where an objective has no teacher, the teacher's members are unspecified.
template <class T>
struct entry {
    T log_p;
    T p;
    T log_q;
    T q;
    T log_ratio;
    T difference;
    T unmasked = T(1.0);  ///< 0 where the student's logit is masked, else 1. A log_p at the floor alone does not tell
};

/// The logarithm of a probability that is zero: KL(q || p) with q_v > 0 = p_v is about 1e6 q_v instead of infinity.
inline constexpr double log_probability_floor = -1e6;

/// A value and its derivative with respect to log p.
template <class T>
struct summand {
    T value;
    T dlogp;

    friend DISTILL_INLINE constexpr summand operator+(const summand& a, const summand& b) {
        return {a.value + b.value, a.dlogp + b.dlogp};
    }
    friend DISTILL_INLINE constexpr summand operator*(const T& weight, const summand& s) {
        return {weight * s.value, weight * s.dlogp};
    }
};

/// What a token term sees: the student's log-probability of one token of the row, and the row's own numbers.
/// Members whose field the batch does not carry are zero; a term lists the fields it reads in `needs`.
template <class T>
struct token_entry {
    T log_p;                        ///< log p of the token, at the term's temperature
    T p;                            ///< exp(log_p)
    T old_log_prob;                 ///< batch.old_log_probs: log p of the token when it was sampled
    T teacher_log_prob;             ///< log q of the sampled token: batch.teacher_log_probs, or from the teacher's logits
    T advantage;                    ///< batch.advantages
    T sequence_log_ratio = T(0.0);  ///< batch.sequence_log_ratios
};

/// What a token term returns. `clipped` and `guarded` are 1 where a clip or a guard holds the gradient back, else 0; the
/// result counts them.
template <class T>
struct token_summand {
    T value;
    T dlogp;
    T clipped = T(0.0);
    T guarded = T(0.0);
};

/// A set of tokens of one row: how much mass student and teacher have inside and outside of it. What is outside is at least
/// smallest_outside: it is 1 less the rest, which fp32 logits give to 3e-8.
template <class T>
struct token_set {
    T student_inside;
    T teacher_inside;
    T student_outside;
    T teacher_outside;
};
inline constexpr double smallest_outside = 1e-7;

/// The entry as a function of log p: dual numbers with d(log p) = 1 and d(p) = p.
template <class T>
DISTILL_INLINE constexpr entry<dual<T>> differentiable(const entry<T>& e) {
    const T zero(0.0), one(1.0);
    return {.log_p = {e.log_p, one},
            .p = {e.p, e.p},
            .log_q = {e.log_q, zero},
            .q = {e.q, zero},
            .log_ratio = {e.log_ratio, one},
            .difference = {e.difference, e.p},
            .unmasked = {e.unmasked, zero}};
}

template <class T>
DISTILL_INLINE constexpr token_entry<dual<T>> differentiable(const token_entry<T>& e) {
    const T zero(0.0), one(1.0);
    return {.log_p = {e.log_p, one},
            .p = {e.p, e.p},
            .old_log_prob = {e.old_log_prob, zero},
            .teacher_log_prob = {e.teacher_log_prob, zero},
            .advantage = {e.advantage, zero},
            .sequence_log_ratio = {e.sequence_log_ratio, zero}};
}

}  // namespace distill::inline DISTILL_ABI
