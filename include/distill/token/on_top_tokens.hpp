#pragma once

#include <distill/objective/evaluate.hpp>
#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// A divergence on the teacher's most probable tokens and one bucket for the rest of the vocabulary: what is left of any
/// divergence when the teacher sends k log-probabilities instead of its logits. on_top_tokens{forward_kl{}} is a lower bound
/// of forward_kl, never negative, and pulls the student's mass into the set as well as around in it.
///
/// Summand      d(p_v, q_v) over the tokens v of the set, plus d(p_t, q_t) with p_t, q_t the mass of the rest
/// Derivative   the divergence's own, with respect to log p_v, and to log p_t: dL/dz = (h_j - p_j H) / T inside and
///              p_j (h_t / p_t - H) / T outside, with H the sum of all h, h_t included
/// Domain       batch.top_tokens and batch.top_log_probs, log q over the whole vocabulary at the temperature that is meant:
///              none is applied to it. p_t and q_t are at least 1e-7
/// At p = q     value 0, derivative 0
/// Accuracy     once per row in double; 1 - sum p_v is as good as fp32's normaliser, 3e-8
/// Source       the tail bucket of SDPO (arXiv 2601.20802)
template <class Divergence>
struct on_top_tokens : token_set_term<on_top_tokens<Divergence>> {
    static_assert(vocabulary_term<Divergence> && !row_dependent_term<Divergence>,
                  "distill: on_top_tokens takes a divergence that is called as d(entry<T>) const and needs no row");

    Divergence divergence{};

    constexpr on_top_tokens() = default;
    constexpr explicit on_top_tokens(Divergence d) noexcept : divergence(d) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        if constexpr (requires { divergence.domain_error(); })
            return divergence.domain_error();
        else
            return nullptr;
    }

    template <class T>
    constexpr summand<T> inside(const entry<T>& e, const token_set<T>&) const {
        return evaluate(divergence, e);
    }
    template <class T>
    constexpr summand<T> outside(const entry<T>& rest) const {
        return evaluate(divergence, rest);
    }
};

}  // namespace distill::inline DISTILL_ABI
