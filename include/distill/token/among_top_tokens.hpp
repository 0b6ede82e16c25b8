#pragma once

#include <distill/objective/evaluate.hpp>
#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// A divergence between student and teacher on the teacher's most probable tokens S alone, both renormalised there: p~ and
/// q~ are p and q over their sums on S. It compares shapes on S, and leaves the mass outside where it is; on_top_tokens{d}
/// pulls it too, and is the one to take where nothing speaks for this one.
///
/// Summand      d(p~_v, q~_v) over the tokens v of the set
/// Derivative   the divergence's own h~ at (p~, q~): dL/dz = (h~_j - p~_j H~) / T on S with H~ its sum, and 0 elsewhere
/// Domain       batch.top_tokens and batch.top_log_probs: log q up to one constant per row, which cancels, at the
///              temperature that is meant: none is applied to it. With one token it is 0 and teaches nothing. A student
///              whose mass on S is far below 1e-38 has gradient 0
/// At p = q     value 0, derivative 0; so it is wherever p and q have one shape on S
/// Accuracy     once per row in double; the rows' normalisers cancel
/// Source       the top-k losses of NeMo-RL, ModelOpt and ms-swift, and SDPO's (arXiv 2601.20802) without its tail bucket.
///              among_top_tokens{forward_kl{}} is top_forward_kl<truncation::blind_to_mass_outside>
template <class Divergence>
struct among_top_tokens : token_set_term<among_top_tokens<Divergence>> {
    static_assert(vocabulary_term<Divergence> && !row_dependent_term<Divergence>,
                  "distill: among_top_tokens takes a divergence that is called as d(entry<T>) const and needs no row");
    static constexpr bool stays_in_set = true;

    Divergence divergence{};

    constexpr among_top_tokens() = default;
    constexpr explicit among_top_tokens(Divergence d) noexcept : divergence(d) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        if constexpr (requires { divergence.domain_error(); })
            return divergence.domain_error();
        else
            return nullptr;
    }

    template <class T>
    constexpr summand<T> inside(const entry<T>& e, const token_set<T>& set) const {
        const T least(smallest_normal), floor(log_probability_floor), bound(0.25);
        const T student = max(set.student_inside, least), teacher = max(set.teacher_inside, least);
        const T p = e.p / student, q = e.q / teacher, to_student = log(student), to_teacher = log(teacher);
        const T log_ratio = min(max(e.log_ratio - to_student + to_teacher, floor), -floor);
        // The branch not taken is kept from overflowing.
        const T series = q * expm1(min(log_ratio, bound));
        return evaluate(divergence, entry<T>{.log_p = max(e.log_p - to_student, floor),
                                             .p = p,
                                             .log_q = max(e.log_q - to_teacher, floor),
                                             .q = q,
                                             .log_ratio = log_ratio,
                                             .difference = select(abs(log_ratio) < bound, series, p - q),
                                             .unmasked = e.unmasked});
    }
    template <class T>
    constexpr summand<T> outside(const entry<T>&) const {
        return {.value = T(0.0), .dlogp = T(0.0)};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
