/// One sweep over a student's and a teacher's row together: both softmax normalisers, and the row's KL(p || q), before
/// either is known.
#pragma once

#include <distill/core/entry.hpp>
#include <distill/row/logit_row.hpp>
#include <distill/row/row_constant.hpp>
#include <distill/row/row_statistics.hpp>
#include <distill/row/scaled_exponential.hpp>
#include <distill/row/softmax.hpp>
#include <distill/row/whole_row.hpp>

#include <array>
#include <cmath>
#include <cstddef>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::row {

constexpr double larger(double a, double b) { return a < b ? b : a; }

/// An entry's log ratio may be clamped where the scan says so: in float where the sum is large, in double at each entry.
template <class Real>
inline constexpr bool looks_for_clamped_gaps = sizeof(Real) > sizeof(float);

/// What a pair_scan finds in a row, or in a part of its vocabulary.
struct pair_statistics {
    row_statistics<1> student, teacher;
    double weighted_gap = 0.0;  ///< sum_v exp((z_v - max z) / T_p) d_v
    double largest_gap = 0.0;   ///< an upper bound of d_v, where the scan looks for one

    /// sum_v p_v log_ratio_v of a whole row.
    [[nodiscard]] constexpr double reverse_kl() const {
        return weighted_gap / student.sums[0] + (std::log(teacher.sums[0]) - std::log(student.sums[0]));
    }
    /// True where that is not good enough, since log ratios are clamped: reverse_kl_sum finds it.
    template <class Real>
    [[nodiscard]] constexpr bool clamps_matter() const {
        constexpr double largest_scanned_kl = 16.0;
        return looks_for_clamped_gaps<Real> ? largest_gap > -log_probability_floor - 64.0
                                            : reverse_kl() > largest_scanned_kl;
    }
};

/// The statistics of two parts together; `a` holds the lower indices.
constexpr pair_statistics merge(const pair_statistics& a, const pair_statistics& b, double inverse_student,
                                double inverse_teacher) {
    pair_statistics merged{.student = distill::merge(a.student, b.student, {inverse_student}),
                           .teacher = distill::merge(a.teacher, b.teacher, {inverse_teacher})};
    merged.largest_gap = -1e300;
    for (const pair_statistics* part : {&a, &b}) {
        const double less_z = (part->student.maximum - merged.student.maximum) * inverse_student,
                     less_w = (part->teacher.maximum - merged.teacher.maximum) * inverse_teacher;
        // A part in which all of z is masked weighs nothing, whatever the shift.
        const double weight = std::exp(less_z);
        if (weight > 0.0) {
            merged.weighted_gap += weight * (part->weighted_gap + part->student.sums[0] * (less_z - less_w));
            merged.largest_gap = larger(merged.largest_gap, part->largest_gap + (less_z - less_w));
        }
    }
    return merged;
}

/// As row_scan, of both rows at a time. With d = log p - log q but for the difference of the log-normalisers,
/// KL(p || q) = sum_v exp((z_v - max z) / T) d_v / sum_v exp((z_v - max z) / T) + that difference.
///
/// The scan clamps d; an entry's log_ratio is clamped with the difference of the log-normalisers in it, which is at most log
/// V. So an entry that is clamped is off by that much of 1e6. In float it makes no difference where the sum is below 16,
/// since such entries then have less than 2e-5 of p. In double every one counts.
template <bool WithReverseKl, class Team, class StudentRow, class TeacherRow>
struct pair_scan {
    Team team;
    StudentRow student;
    TeacherRow teacher;
    std::ptrdiff_t vocabulary;
    double inverse_student, inverse_teacher;  ///< temperatures
    pair_statistics& found;

    DISTILL_INLINE constexpr void operator()() const {
        using number = typename Team::number;
        const scaled_exponential<number, false> of_student(inverse_student * log2_e), of_teacher(inverse_teacher * log2_e);
        const logit_gap<number, typename Team::real> gap(inverse_student, inverse_teacher);
        number largest_z(masked_logit), largest_w(masked_logit), weighted_gaps(0.0), largest_gap(0.0);
        const std::ptrdiff_t beginning = vocabulary < first_look ? vocabulary : first_look;
        found = {};
        double& max_z = found.student.maximum = team.maximum(lane_maxima(team, student, beginning));
        double& max_w = found.teacher.maximum = team.maximum(lane_maxima(team, teacher, beginning));
        double &sum_z = found.student.sums[0], &sum_w = found.teacher.sums[0], &weighted_gap = found.weighted_gap;

        team.for_each_tile(vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
            for (int looks = 0, needed = 1; looks < needed; ++looks) {
                const number reference_z = row_constant<number>(max_z), reference_w = row_constant<number>(max_w);
                number gaps_of_tile(0.0);
                const auto of_tile = team.template precise_sum<2>(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                    team.prefetch_next_tile(address_of(student), at);
                    team.prefetch_next_tile(address_of(teacher), at);
                    const number z = load_logits(team, student, at), w = load_logits(team, teacher, at);
                    largest_z = max(z, largest_z);
                    largest_w = max(w, largest_w);
                    const number x = z - reference_z, e = of_student(x);
                    if constexpr (WithReverseKl) {
                        const number d = gap.unshifted(x, at_least(w, number(masked_logit)) - reference_w);
                        if constexpr (looks_for_clamps) largest_gap = max(d, largest_gap);
                        gaps_of_tile = fma(e, d, gaps_of_tile);
                    }
                    return std::array<number, 2>{e, of_teacher(w - reference_w)};
                });
                if (looks == 0 && (team.any(largest_z > reference_z) || team.any(largest_w > reference_w))) {
                    const double raised_z = larger(max_z, team.maximum(largest_z)),
                                 raised_w = larger(max_w, team.maximum(largest_w)),
                                 less_z = (max_z - raised_z) * inverse_student,
                                 less_w = (max_w - raised_w) * inverse_teacher;
                    weighted_gap = std::exp(less_z) * (weighted_gap + team.sum(weighted_gaps) + sum_z * (less_z - less_w));
                    weighted_gaps = number(0.0);
                    if constexpr (looks_for_clamps) largest_gap = largest_gap + number(less_z - less_w);
                    sum_z *= std::exp(less_z);
                    sum_w *= std::exp(less_w);
                    max_z = raised_z;
                    max_w = raised_w;
                    needed = 2;
                } else {
                    sum_z += of_tile[0];
                    sum_w += of_tile[1];
                    weighted_gaps = weighted_gaps + gaps_of_tile;
                }
            }
        });

        found.student.has_nan = !is_finite(sum_z);
        found.teacher.has_nan = !is_finite(sum_w);
        weighted_gap += team.sum(weighted_gaps);
        if constexpr (looks_for_clamps) found.largest_gap = team.maximum(largest_gap);
    }

private:
    static constexpr bool looks_for_clamps = looks_for_clamped_gaps<typename Team::real>;
};

/// KL(p || q) of a row, or a part's share of it, from the entries themselves.
template <class Team, class StudentRow, class TeacherRow>
struct reverse_kl_sum {
    Team team;
    StudentRow student;
    TeacherRow teacher;
    std::ptrdiff_t vocabulary;
    softmax of_student, of_teacher;
    double& found;

    DISTILL_INLINE constexpr void operator()() const {
        using number = typename Team::number;
        const entry_maker<number, typename Team::real> maker(of_student, of_teacher);
        found = sum_over<1>(team, vocabulary, [&](const auto& at) DISTILL_INLINE_LAMBDA {
            const entry<number> e = maker(load_logits(team, student, at), load_logits(team, teacher, at));
            return std::array<number, 1>{e.p * e.log_ratio};
        })[0];
    }
};

template <class Team, class StudentRow, class TeacherRow>
DISTILL_INLINE constexpr double sum_reverse_kl(const Team& team, const StudentRow& student, const TeacherRow& teacher,
                                               std::ptrdiff_t vocabulary, const softmax& of_student,
                                               const softmax& of_teacher) {
    double found = 0.0;
    team.outlined(
        reverse_kl_sum<Team, StudentRow, TeacherRow>{team, student, teacher, vocabulary, of_student, of_teacher, found});
    return found;
}

template <bool WithReverseKl, class Team, class StudentRow, class TeacherRow>
DISTILL_INLINE constexpr pair_statistics scan_pair(const Team& team, const StudentRow& student, const TeacherRow& teacher,
                                                   std::ptrdiff_t vocabulary, double inverse_student,
                                                   double inverse_teacher) {
    pair_statistics found;
    team.outlined(pair_scan<WithReverseKl, Team, StudentRow, TeacherRow>{team, student, teacher, vocabulary, inverse_student,
                                                                         inverse_teacher, found});
    return found;
}

}  // namespace distill::inline DISTILL_ABI::row

#include <distill/core/macros_of_others.hpp>
