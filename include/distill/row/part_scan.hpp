/// Phase 1 of the row program: what one sweep over a row, or over a part of its vocabulary, finds, and how parts merge.
#pragma once

#include <distill/row/logit_row.hpp>
#include <distill/row/pair_scan.hpp>
#include <distill/row/records.hpp>
#include <distill/row/row_statistics.hpp>
#include <distill/row/token_terms.hpp>
#include <distill/row/whole_row.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace distill::inline DISTILL_ABI::row {

/// PairScan: both rows are read together. WithReverseKl: and their KL(p || q) is found.
template <class Team, class Objective, class StudentRow, class TeacherRow, bool PairScan, bool WithReverseKl>
struct part_scan {
    using real = typename Team::real;
    using traits = row::objective_traits<Objective>;
    static constexpr std::size_t groups = traits::groups;

    const Team& team;
    const Objective& objective;
    const row_input<StudentRow, TeacherRow>& in;
    const std::array<double, groups>& inverse_student;  ///< temperatures
    const std::array<double, groups>& inverse_teacher;

    DISTILL_INLINE constexpr scan_record<traits> operator()() const {
        scan_record<traits> found;
        if constexpr (PairScan) {
            const pair_statistics pair = scan_pair<WithReverseKl>(team, in.student, in.teacher, in.vocabulary,
                                                                  inverse_student[0], inverse_teacher[0]);
            found.student = pair.student;
            found.teacher = pair.teacher;
            found.weighted_gap = pair.weighted_gap;
            found.largest_gap = pair.largest_gap;
        } else {
            found.student = scan_row<false>(team, in.student, in.vocabulary, inverse_student);
            if constexpr (may_scan_teacher) scan_teacher(found.teacher);
        }
        if constexpr (traits::token_terms > 0) read_tokens(found);
        return found;
    }

    /// Two parts' records together; `a` holds the lower ids.
    [[nodiscard]] constexpr scan_record<traits> merge(const scan_record<traits>& a, const scan_record<traits>& b) const {
        scan_record<traits> merged{.teacher_logit = larger(a.teacher_logit, b.teacher_logit)};
        if constexpr (PairScan) {
            const auto pair_of = [](const scan_record<traits>& r) {
                return pair_statistics{r.student, r.teacher, r.weighted_gap, r.largest_gap};
            };
            const pair_statistics pair = row::merge(pair_of(a), pair_of(b), inverse_student[0], inverse_teacher[0]);
            merged.student = pair.student;
            merged.teacher = pair.teacher;
            merged.weighted_gap = pair.weighted_gap;
            merged.largest_gap = pair.largest_gap;
        } else {
            merged.student = distill::merge(a.student, b.student, inverse_student);
            merged.teacher = distill::merge(a.teacher, b.teacher, inverse_teacher);
        }
        for_each_token_term([&](std::size_t slot, auto, const auto& term) {
            const double of_a = a.token_logits[slot], of_b = b.token_logits[slot];
            merged.token_logits[slot] =
                token_follows_argmax(term) ? (b.teacher.maximum > a.teacher.maximum ? of_b : of_a) : larger(of_a, of_b);
        });
        return merged;
    }

    [[nodiscard]] constexpr bool scans_teacher() const { return wants_teacher_softmax() || wants_argmax(); }
    /// The teacher's argmax is a term's token.
    [[nodiscard]] constexpr bool wants_argmax() const {
        if constexpr (traits::may_want_teacher_label)
            return address_of(in.teacher) != nullptr && in.teacher_token == in.unknown_token &&
                   wants(objective, fields::teacher_label);
        else
            return false;
    }
    [[nodiscard]] constexpr bool wants_teacher_softmax() const {
        if constexpr (traits::may_want_teacher_softmax && !traits::reads_teacher)
            return address_of(in.teacher) != nullptr &&
                   wants(objective,
                         in.knows_teacher_log_prob ? fields::teacher : fields::teacher | fields::teacher_log_prob);
        else
            return traits::reads_teacher && address_of(in.teacher) != nullptr;
    }

private:
    /// A term may read the teacher's row.
    static constexpr bool may_scan_teacher =
        traits::reads_teacher || traits::may_want_teacher_softmax || traits::may_want_teacher_label;

    /// The teacher's normalisers and argmax, as far as the objective's terms read them.
    DISTILL_INLINE constexpr void scan_teacher(row_statistics<groups>& found) const {
        if constexpr (traits::reads_teacher || traits::may_want_teacher_softmax)
            if (wants_teacher_softmax())
                found = scan_row<traits::may_want_teacher_label>(team, in.teacher, in.vocabulary, inverse_teacher);
        if constexpr (traits::may_want_teacher_label && !traits::reads_teacher)
            if (wants_argmax() && !wants_teacher_softmax()) {
                const auto teacher = scan_row<true>(team, in.teacher, in.vocabulary, std::array<double, 0>{});
                found.maximum = teacher.maximum;
                found.argmax = teacher.argmax;
                found.has_nan = teacher.has_nan;
            }
        found.argmax += in.first;
    }

    /// visit(slot, group, term) for every token term, with the place of its numbers.
    template <class Visitor>
    DISTILL_INLINE constexpr void for_each_token_term(const Visitor& visit) const {
        std::size_t slot = 0;
        for_each_term(objective, [&]<class Term>(auto group, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
            if constexpr (detail::is_part<Term, token_part>) {
                if (t.weight != 0.0) visit(slot, group, t.value);
                ++slot;
            }
        });
    }
    /// The term's token is the teacher's prediction, which the scan finds.
    template <class Term>
    constexpr bool token_follows_argmax(const Term&) const {
        return Term::token == token_source::teacher_predicted && in.teacher_token == in.unknown_token;
    }

    /// The logits at single tokens, those of them that lie in the part.
    DISTILL_INLINE constexpr void read_tokens(scan_record<traits>& found) const {
        for_each_token_term([&]<class Term>(std::size_t slot, auto, const Term& term) DISTILL_INLINE_LAMBDA {
            if constexpr (Term::token != token_source::found_in_row) {
                const std::int64_t id = token_follows_argmax(term) ? static_cast<std::int64_t>(found.teacher.argmax)
                                                                   : token_id(term, in, in.teacher_token);
                found.token_logits[slot] = in.holds(id) ? single_logit<real>(in.student, id - in.first) : absent_logit;
            }
            if constexpr (contains(needs_of<Term>(), fields::teacher_log_prob))
                if (!in.knows_teacher_log_prob && in.holds(in.sampled_token))
                    found.teacher_logit = single_logit<real>(in.teacher, in.sampled_token - in.first);
        });
    }
};

}  // namespace distill::inline DISTILL_ABI::row
