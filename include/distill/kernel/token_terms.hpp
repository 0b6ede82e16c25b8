/// Terms at single tokens and of the normaliser: computed once per row, in double.
#pragma once

#include <distill/core/number.hpp>
#include <distill/core/scalar.hpp>
#include <distill/kernel/plan.hpp>
#include <distill/kernel/softmax.hpp>
#include <distill/kernel/whole_row.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace distill::kernel {

struct row_outcome {
    double loss = 0.0;
    bool finite = true;  ///< false: the row's logits or numbers are not; what was written to its gradient is meaningless
    bool clipped = false;
    bool guarded = false;
};

/// What terms at single tokens add to a row's gradient: derivatives at entries, and their sums per group.
template <class Plan>
struct single_entries {
    struct contribution {
        std::int64_t index;
        std::size_t group;
        double dlogp;
    };
    std::array<contribution, Plan::single_entries> contributions{};
    std::size_t count = 0;
    std::array<double, Plan::groups> moment{};

    constexpr void add(std::int64_t index, std::size_t group, double dlogp) {
        contributions[count++] = {index, group, dlogp};
        moment[group] += dlogp;
    }
};

/// The row's own numbers, as far as terms read them. Looked at by their bits before any term does arithmetic on them, so that
/// a NaN is found under -ffast-math too, and where a term holds its input to bounds.
template <class Objective, class StudentRow, class TeacherRow>
DISTILL_INLINE constexpr bool has_usable_numbers(const Objective& o, const row_input<StudentRow, TeacherRow>& in) {
    bool usable = true;
    for_each_term(o, [&]<class Term>(auto, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
        if (t.per_row) usable = usable && is_finite(in.coefficient);
        if (t.weight == 0.0) return;
        constexpr fields needs = needs_of<Term>();
        if constexpr (contains(needs, fields::advantages)) usable = usable && is_finite(in.advantage);
        if constexpr (contains(needs, fields::old_log_probs)) usable = usable && is_log_probability(in.old_log_prob);
        if constexpr (contains(needs, fields::teacher_log_prob)) usable = usable && is_log_probability(in.teacher_log_prob);
        if constexpr (contains(needs, fields::sequence_log_ratios)) usable = usable && is_finite(in.sequence_log_ratio);
        if constexpr (contains(needs, fields::teacher_top_tokens))
            for (std::ptrdiff_t i = in.top_begin; i < in.top_end; ++i)
                usable = usable && (in.top_tokens[i] == ignored_label || is_log_probability(in.top_log_probs[i]));
    });
    return usable;
}

/// The token terms of an objective on one row. Real is the type that the sweeps read logits in.
template <class Real, class Objective, class StudentRow, class TeacherRow>
struct token_terms {
    using exact = scalar<double>;
    using plan = kernel::plan<Objective>;
    using softmaxes = std::array<softmax, plan::groups>;

    const Objective& objective;
    const row_input<StudentRow, TeacherRow>& in;
    const softmaxes& student;
    const softmaxes& teacher;
    std::int64_t teacher_token;

    /// Values and derivatives of the terms at single tokens and of the normaliser, in double.
    DISTILL_INLINE constexpr row_outcome operator()(single_entries<plan>& state) const {
        row_outcome outcome;
        for_each_term(objective, [&]<class Term>(auto group, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
            if constexpr (detail::is_part<Term, token_part>) {
                constexpr std::size_t g = group();
                if (t.weight == 0.0) return;
                const std::int64_t index = token_index(t.value);
                const double log_p = student[g].log_probability(single_logit<Real>(in.student, index));
                const token_entry<exact> e{.log_p = log_p,
                                           .p = log_p > log_probability_floor ? std::exp(log_p) : 0.0,
                                           .old_log_prob = in.old_log_prob,
                                           .teacher_log_prob = teacher_log_prob<Term>(teacher[g]),
                                           .advantage = in.advantage,
                                           .sequence_log_ratio = in.sequence_log_ratio};
                const token_summand<exact> s = evaluate(t.value, e);
                outcome.loss += t.weight * s.value.value;
                outcome.clipped = outcome.clipped || s.clipped.value > 0.0;
                outcome.guarded = outcome.guarded || s.guarded.value > 0.0;
                state.add(index, g, t.weight * s.dlogp.value);
            } else if constexpr (detail::is_part<Term, token_set_part>) {
                constexpr std::size_t g = group();
                if (t.weight != 0.0) outcome.loss += look_at_token_set(t, g, state);
            } else if constexpr (detail::is_part<Term, normalizer_part>) {
                constexpr std::size_t g = group();
                const softmax& s = student[g];
                const dual<exact> f = t.value(dual<exact>{s.maximum * s.inverse_temperature + s.log_sum, 1.0});
                outcome.loss += t.weight * f.value.value;
                // d(log sum exp(z / T)) / dz = p / T: the moment's part of the gradient, with the other sign.
                state.moment[g] -= t.weight * f.derivative.value;
            }
        });
        return outcome;
    }

private:
    /// The value of a term of a token set. With h_t its derivative with respect to log p of the rest as one entry, of mass p_t,
    /// every entry outside has a part p_j h_t / p_t of it: the same as h_t / p_t less in the moment, and p_j h_t / p_t less at
    /// every token of the set.
    template <class Term>
    constexpr double look_at_token_set(const weighted<Term>& t, std::size_t group, single_entries<plan>& state) const {
        const auto entry_at = [&](std::ptrdiff_t i) {
            const double log_p = student[group].log_probability(single_logit<Real>(in.student, in.top_tokens[i]));
            const double given = in.top_log_probs[i];
            return set_entry(log_p, given < log_probability_floor ? log_probability_floor : given);
        };
        token_set<exact> set{0.0, 0.0, 1.0, 1.0};
        for (std::ptrdiff_t i = in.top_begin; i < in.top_end; ++i) {
            if (in.top_tokens[i] == ignored_label) continue;
            const entry<exact> e = entry_at(i);
            set.student_inside = set.student_inside + e.p;
            set.teacher_inside = set.teacher_inside + e.q;
        }
        set.student_outside = max(exact(1.0) - set.student_inside, exact(smallest_outside));
        set.teacher_outside = max(exact(1.0) - set.teacher_inside, exact(smallest_outside));
        const summand<exact> rest =
            t.value.outside(set_entry(std::log(set.student_outside.value), std::log(set.teacher_outside.value)));
        double value = rest.value.value;
        const double per_mass = rest.dlogp.value / set.student_outside.value;
        for (std::ptrdiff_t i = in.top_begin; i < in.top_end; ++i) {
            if (in.top_tokens[i] == ignored_label) continue;
            const entry<exact> e = entry_at(i);
            const summand<exact> s = t.value.inside(e, set);
            value += s.value.value;
            state.add(in.top_tokens[i], group, t.weight * (s.dlogp.value - e.p.value * per_mass));
        }
        return t.weight * value;
    }

    static constexpr entry<exact> set_entry(double log_p, double log_q) {
        const double p = log_p > log_probability_floor ? std::exp(log_p) : 0.0;
        const double q = log_q > log_probability_floor ? std::exp(log_q) : 0.0;
        const double log_ratio = log_p - log_q;
        return {log_p, p, log_q, q, log_ratio, std::abs(log_ratio) < 0.25 ? q * std::expm1(log_ratio) : p - q};
    }

    template <class Term>
    constexpr std::int64_t token_index(const Term& term) const {
        if constexpr (Term::token == token_source::teacher_predicted)
            return teacher_token;
        else if constexpr (Term::token == token_source::label)
            return in.label;
        else if constexpr (Term::token == token_source::found_in_row)
            return term.found;
        else
            return in.sampled_token;
    }

    /// log q(y) as it was given, or at the group's temperature.
    template <class Term>
    constexpr double teacher_log_prob(const softmax& of_group) const {
        if constexpr (contains(needs_of<Term>(), fields::teacher_log_prob))
            if (!in.knows_teacher_log_prob)
                return of_group.log_probability(single_logit<Real>(in.teacher, in.sampled_token));
        return in.teacher_log_prob;
    }
};

}  // namespace distill::kernel
