/// Terms at single tokens and of the normaliser: computed once per row, in double.
#pragma once

#include <distill/core/number.hpp>
#include <distill/core/scalar.hpp>
#include <distill/row/objective_traits.hpp>
#include <distill/row/softmax.hpp>
#include <distill/row/whole_row.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::row {

struct row_outcome {
    double loss = 0.0;
    bool finite = true;  ///< false: the row's logits or numbers are not; what was written to its gradient is meaningless
    bool clipped = false;
    bool guarded = false;
};

/// What a term adds to a row's gradient at one entry.
struct single_entry {
    std::int64_t index;
    double dlogp;     ///< 0: nothing
    double gradient;  ///< what the entry of the gradient becomes, where `is_correction`
    int group;
    bool is_correction;
};

/// One for every token term, and one for every token of a set's term, in the order of the terms.
template <class Traits>
using single_entries = std::array<single_entry, Traits::single_entries>;

/// What single tokens and the normaliser add to a row.
template <class Traits>
struct token_outcome {
    row_outcome row;
    std::array<double, Traits::groups> dlogp_sum{};  ///< sums of dlogp
};

/// The id of a term's token.
template <class Term, class StudentRow, class TeacherRow>
constexpr std::int64_t token_id(const Term& term, const row_input<StudentRow, TeacherRow>& in, std::int64_t teacher_token) {
    if constexpr (Term::token == token_source::teacher_predicted)
        return teacher_token;
    else if constexpr (Term::token == token_source::label)
        return in.label;
    else if constexpr (Term::token == token_source::found_in_row)
        return term.found;
    else
        return in.sampled_token;
}

/// True where the row's own numbers that terms read are usable. Their bits are checked before any arithmetic, so that a NaN
/// is found under -ffast-math, and also where a term clamps its input.
template <class Team, class Objective, class StudentRow, class TeacherRow>
DISTILL_INLINE constexpr bool has_usable_numbers(const Team& team, const Objective& o,
                                                 const row_input<StudentRow, TeacherRow>& in) {
    bool usable = true;
    for_each_term(o, [&]<class Term>(auto, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
        if (t.per_row) usable = usable && is_finite(in.coefficient);
        if (t.weight == 0.0) return;
        constexpr fields needs = needs_of<Term>();
        if constexpr (contains(needs, fields::advantages)) usable = usable && is_finite(in.advantage);
        if constexpr (contains(needs, fields::old_log_probs)) usable = usable && is_log_probability(in.old_log_prob);
        if constexpr (contains(needs, fields::teacher_log_prob)) usable = usable && is_log_probability(in.teacher_log_prob);
        if constexpr (contains(needs, fields::sequence_log_ratios)) usable = usable && is_finite(in.sequence_log_ratio);
        if constexpr (contains(needs, fields::teacher_top_tokens)) {
            double unusable = 0.0;
            team.distribute(in.set_size(), [&](std::size_t i) DISTILL_INLINE_LAMBDA {
                if (in.set_token(i) != ignored_label && !is_log_probability(in.set_log_prob(i))) unusable += 1.0;
            });
            usable = team.sum_of_threads(unusable) == 0.0 && usable;
        }
    });
    return usable;
}

/// The token terms of an objective on one row.
template <class Team, class Objective, class StudentRow, class TeacherRow>
struct token_terms {
    using real = typename Team::real;
    using exact = scalar<double>;
    using traits = row::objective_traits<Objective>;
    using softmaxes = std::array<softmax, traits::groups>;

    const Team& team;
    const Objective& objective;
    const row_input<StudentRow, TeacherRow>& in;
    const softmaxes& student;
    const softmaxes& teacher;
    std::int64_t teacher_token;
    const std::array<double, traits::token_terms>& token_logits;  ///< the student's, by term
    double teacher_logit;                                         ///< the teacher's at the sampled token

    /// Values and derivatives of the terms at single tokens and of the normaliser, in double.
    DISTILL_INLINE constexpr token_outcome<traits> operator()(single_entries<traits>& entries) const {
        token_outcome<traits> outcome;
        std::size_t slot = 0, number = 0;
        for_each_term(objective, [&]<class Term>(auto group, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
            if constexpr (detail::is_part<Term, token_part>) {
                constexpr std::size_t g = group();
                single_entry& entry = entries[slot++];
                double logit = token_logits[number++];
                if (team.leads()) entry = {};
                if (t.weight == 0.0) return;
                const std::int64_t index = token_id(t.value, in, teacher_token);
                if constexpr (Term::token == token_source::found_in_row) logit = single_logit<real>(in.student, index);
                const double log_p = student[g].log_probability(logit);
                const token_entry<exact> e{.log_p = log_p,
                                           .p = log_p > log_probability_floor ? std::exp(log_p) : 0.0,
                                           .old_log_prob = in.old_log_prob,
                                           .teacher_log_prob = teacher_log_prob<Term>(teacher[g]),
                                           .advantage = in.advantage,
                                           .sequence_log_ratio = in.sequence_log_ratio};
                const token_summand<exact> s = evaluate(t.value, e);
                outcome.row.loss += t.weight * s.value.value;
                outcome.row.clipped = outcome.row.clipped || s.clipped.value > 0.0;
                outcome.row.guarded = outcome.row.guarded || s.guarded.value > 0.0;
                outcome.dlogp_sum[g] += t.weight * s.dlogp.value;
                if (team.leads()) entry = {index, t.weight * s.dlogp.value, 0.0, g, false};
            } else if constexpr (detail::is_part<Term, token_set_part>) {
                constexpr std::size_t g = group();
                single_entry* const of_set = entries.data() + slot;
                slot += in.set_size();
                if (t.weight != 0.0) {
                    const auto [value, dlogp] = look_at_token_set(t, g, of_set);
                    outcome.row.loss += t.weight * value;
                    outcome.dlogp_sum[g] += dlogp;
                } else {
                    team.distribute(in.set_size(), [&](std::size_t i) DISTILL_INLINE_LAMBDA { of_set[i] = {}; });
                }
            } else if constexpr (detail::is_part<Term, normalizer_part>) {
                constexpr std::size_t g = group();
                const softmax& s = student[g];
                const dual<exact> f = t.value(dual<exact>{s.maximum * s.inverse_temperature + s.log_sum, 1.0});
                outcome.row.loss += t.weight * f.value.value;
                // d(log sum exp(z / T)) / dz = p / T: the dlogp_sum's part of the gradient, with the other sign.
                outcome.dlogp_sum[g] -= t.weight * f.derivative.value;
            }
        });
        return outcome;
    }

private:
    struct set_outcome {
        double value, dlogp;
    };

    /// The value of a term of a token set, and the sum of its derivatives. h_t is the derivative with respect to log p of
    /// the rest as one entry, whose mass is p_t. Every entry j outside the set has the part p_j h_t / p_t of it. This is
    /// written as h_t / p_t less in the dlogp_sum, and p_j h_t / p_t less at every token of the set. For a term that stays
    /// in its set, the sum of its tokens' derivatives over p(S) replaces h_t / p_t: nothing is sent outside.
    template <class Term>
    DISTILL_INLINE constexpr set_outcome look_at_token_set(const weighted<Term>& t, std::size_t group,
                                                           single_entry* entries) const {
        const auto entry_at = [&](std::size_t i) DISTILL_INLINE_LAMBDA {
            const double log_p = student[group].log_probability(single_logit<real>(in.student, in.set_token(i)));
            const double given = in.set_log_prob(i);
            return set_entry(log_p, given < log_probability_floor ? log_probability_floor : given);
        };
        exact student_inside = 0.0, teacher_inside = 0.0;
        team.distribute(in.set_size(), [&](std::size_t i) DISTILL_INLINE_LAMBDA {
            if (in.set_token(i) == ignored_label) return;
            const entry<exact> e = entry_at(i);
            student_inside = student_inside + e.p;
            teacher_inside = teacher_inside + e.q;
        });
        token_set<exact> set{team.sum_of_threads(student_inside.value), team.sum_of_threads(teacher_inside.value), 1.0, 1.0};
        set.student_outside = max(exact(1.0) - set.student_inside, exact(smallest_outside));
        set.teacher_outside = max(exact(1.0) - set.teacher_inside, exact(smallest_outside));
        const summand<exact> rest =
            t.value.outside(set_entry(std::log(set.student_outside.value), std::log(set.teacher_outside.value)));
        double per_mass = rest.dlogp.value / set.student_outside.value;
        if constexpr (stays_in_set<Term>()) {
            exact dlogp_sum = 0.0;
            team.distribute(in.set_size(), [&](std::size_t i) DISTILL_INLINE_LAMBDA {
                if (in.set_token(i) != ignored_label) dlogp_sum = dlogp_sum + t.value.inside(entry_at(i), set).dlogp;
            });
            per_mass = team.sum_of_threads(dlogp_sum.value) / max(set.student_inside, exact(smallest_normal)).value;
        }
        set_outcome of_tokens{0.0, 0.0};
        team.distribute(in.set_size(), [&](std::size_t i) DISTILL_INLINE_LAMBDA {
            entries[i] = {};
            if (in.set_token(i) == ignored_label) return;
            const entry<exact> e = entry_at(i);
            const summand<exact> s = t.value.inside(e, set);
            const double dlogp = t.weight * (s.dlogp.value - e.p.value * per_mass);
            of_tokens.value += s.value.value;
            of_tokens.dlogp += dlogp;
            entries[i] = {in.set_token(i), dlogp, 0.0, static_cast<int>(group), false};
        });
        const double value = rest.value.value + team.sum_of_threads(of_tokens.value);
        if constexpr (stays_in_set<Term>()) return {value, 0.0};
        // Probabilities in float may add up to more than 1; the rest's share of the derivative is then 0, and not below.
        const double beyond = set.student_inside.value > 1.0 ? set.student_inside.value - 1.0 : 0.0;
        return {value, team.sum_of_threads(of_tokens.dlogp) + t.weight * per_mass * beyond};
    }

    static constexpr entry<exact> set_entry(double log_p, double log_q) {
        const double p = log_p > log_probability_floor ? std::exp(log_p) : 0.0;
        const double q = log_q > log_probability_floor ? std::exp(log_q) : 0.0;
        const double log_ratio = log_p - log_q;
        return {log_p,
                p,
                log_q,
                q,
                log_ratio,
                (std::abs)(log_ratio) < 0.25 ? q * std::expm1(log_ratio) : p - q,
                log_p > log_probability_floor ? 1.0 : 0.0};
    }

    /// log q(y) as it was given, or at the group's temperature.
    template <class Term>
    constexpr double teacher_log_prob(const softmax& of_group) const {
        if constexpr (contains(needs_of<Term>(), fields::teacher_log_prob))
            if (!in.knows_teacher_log_prob) return of_group.log_probability(teacher_logit);
        return in.teacher_log_prob;
    }
};

}  // namespace distill::inline DISTILL_ABI::row

#include <distill/core/macros_of_others.hpp>
