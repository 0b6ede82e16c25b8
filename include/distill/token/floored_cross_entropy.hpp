#pragma once

#include <distill/core/number.hpp>
#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// Cross-entropy of the student to a teacher whose log-probabilities are known on its most probable tokens S and taken as
/// `floor` everywhere else. With the student's entropy taken off it is floored_reverse_kl.
///
/// Summand      -p log q over the tokens of the set, and -p_t floor once, with p_t the student's mass outside
/// Derivative   -p log q and -p_t floor, with respect to log p and log p_t: dL/dz_j = -p_j (l_j - sum_v p_v l_v) / T,
///              where l is log q on S and the floor outside
/// Domain       batch.top_tokens and batch.top_log_probs, log q over the whole vocabulary at the temperature that is meant;
///              -1e6 <= floor <= 0. p_t is at least 1e-7
/// At p = q     the teacher's entropy where S is the whole vocabulary; the derivative is not 0
/// Accuracy     once per row in double; 1 - sum p_v is as good as fp32's normaliser, 3e-8
/// Source       NeMo-RL's top-k reverse KL
struct floored_cross_entropy : token_set_term<floored_cross_entropy> {
    double floor = -16.0;

    constexpr floored_cross_entropy() = default;
    constexpr explicit floored_cross_entropy(double log_probability) noexcept : floor(log_probability) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(floor) && floor >= log_probability_floor && floor <= 0.0 ? nullptr : "floor lies in [-1e6, 0]";
    }

    template <class T>
    constexpr summand<T> inside(const entry<T>& e, const token_set<T>&) const {
        const T expected = -(e.p * e.log_q);
        return {.value = expected, .dlogp = expected};
    }
    template <class T>
    constexpr summand<T> outside(const entry<T>& rest) const {
        const T expected = rest.p * T(-floor);
        return {.value = expected, .dlogp = expected};
    }
};

}  // namespace distill::inline DISTILL_ABI
