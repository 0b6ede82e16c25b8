/// Sums over a row, for the row program's own sweeps and for terms that depend on the row as a whole.
#pragma once

#include <distill/core/row_array.hpp>
#include <distill/core/scalar.hpp>
#include <distill/row/logit_row.hpp>
#include <distill/row/softmax.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace distill::inline DISTILL_ABI::row {

/// What the program reads of one row, or of a part of its vocabulary. Logits are read through row/logit_row.hpp. The
/// teacher's address may be null where nothing reads it.
template <class StudentRow, class TeacherRow>
struct row_input {
    StudentRow student;
    TeacherRow teacher;
    std::ptrdiff_t vocabulary;  ///< entries of the part
    std::ptrdiff_t index = 0;   ///< of the row
    std::int64_t first = 0;     ///< the id of the part's first entry; every token below is an id
    std::int64_t sampled_token = 0;
    std::int64_t teacher_token = unknown_token;  ///< unknown_token: the argmax of the teacher's row
    std::int64_t label = 0;
    double old_log_prob = 0.0;
    double teacher_log_prob = 0.0;
    bool knows_teacher_log_prob = true;  ///< false: it is read off the teacher's row
    double advantage = 0.0;
    double sequence_log_ratio = 0.0;
    row_indices top_tokens{};  ///< of all rows; this one's are [top_begin, top_end)
    row_values top_log_probs{};
    std::ptrdiff_t top_begin = 0, top_end = 0;
    double temperature = 1.0;
    double coefficient = 1.0;

    static constexpr std::int64_t unknown_token = -1;

    [[nodiscard]] constexpr bool holds(std::int64_t id) const { return id >= first && id - first < vocabulary; }

    /// The row's own set of tokens.
    [[nodiscard]] DISTILL_INLINE constexpr std::size_t set_size() const {
        return static_cast<std::size_t>(top_end - top_begin);
    }
    [[nodiscard]] DISTILL_INLINE constexpr std::int64_t set_token(std::size_t i) const {
        return top_tokens[top_begin + static_cast<std::ptrdiff_t>(i)];
    }
    [[nodiscard]] DISTILL_INLINE constexpr double set_log_prob(std::size_t i) const {
        return top_log_probs[top_begin + static_cast<std::ptrdiff_t>(i)];
    }
};

/// Sums of `body(at)` over a row. A tile is summed by itself and then added: two short sums round less than a long one.
template <std::size_t Count, class Team, class Body>
DISTILL_INLINE constexpr std::array<double, Count> sum_over(const Team& team, std::ptrdiff_t count, const Body& body) {
    using number = typename Team::number;
    std::array<number, Count> totals;
    for (auto& total : totals) total = number(0.0);
    team.for_each_tile(count, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
        std::array<number, Count> partial;
        for (auto& p : partial) p = number(0.0);
        team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
            const std::array<number, Count> summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) partial[i] = partial[i] + team.active(at, summands[i]);
        });
        for (std::size_t i = 0; i < Count; ++i) totals[i] = totals[i] + partial[i];
    });
    std::array<double, Count> sums{};
    for (std::size_t i = 0; i < Count; ++i) sums[i] = team.sum(totals[i]);
    return sums;
}

/// The entry of z, and of w where the teacher is read.
template <bool ReadsTeacher, class Maker, class Number>
DISTILL_INLINE constexpr entry<Number> make_entry(const Maker& maker, const Number& z, const Number& w) {
    if constexpr (ReadsTeacher)
        return maker(z, w);
    else
        return maker(z);
}

template <class Function, class Number>
DISTILL_AROUND_USER_CODE constexpr auto call_on_entry(const Function& function, const entry<Number>& e) {
    return function(e);
}

template <class Term, class Row>
DISTILL_AROUND_USER_CODE constexpr Term fitted_to_row(const Term& term, const Row& row) {
    return term.for_row(row);
}

/// A row at one pair of temperatures, as a term's for_row sees it (objective/term.hpp).
template <class Team, class StudentRow, class TeacherRow, bool ReadsTeacher>
class whole_row {
    using number = typename Team::number;
    using real = typename Team::real;

public:
    DISTILL_INLINE constexpr whole_row(const Team& team, const row_input<StudentRow, TeacherRow>& in, const softmax& student,
                                       const softmax& teacher)
        : index(in.index),
          vocabulary(in.vocabulary),
          largest_q(1.0 / teacher.sum),
          team_(team),
          in_(in),
          maker_(student, teacher),
          exact_maker_(student, teacher) {}

    std::ptrdiff_t index;
    std::ptrdiff_t vocabulary;
    double largest_q;

    template <std::size_t Count, class Function>
    DISTILL_INLINE constexpr std::array<double, Count> sums(const Function& function) const {
        return sum_over<Count>(team_, vocabulary, [&](const auto& at) DISTILL_INLINE_LAMBDA {
            return std::array<number, Count>(call_on_entry(function, entry_at(at)));
        });
    }

    template <class Function>
    DISTILL_INLINE constexpr double sum(const Function& function) const {
        return sum_over<1>(team_, vocabulary, [&](const auto& at) DISTILL_INLINE_LAMBDA {
            return std::array<number, 1>{call_on_entry(function, entry_at(at))};
        })[0];
    }

    /// Finds the tile in which the sum passes `share`, then the entry in it, one after the other in double.
    template <class Function>
    DISTILL_INLINE constexpr std::int64_t find(double share, const Function& function) const {
        double before = 0.0, of_last = 0.0;
        std::ptrdiff_t begin = 0, end = 0;
        team_.for_each_tile(vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
            if (before + of_last > share) return;
            const double of_tile = team_.template precise_sum<1>(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                return std::array<number, 1>{call_on_entry(function, entry_at(at))};
            })[0];
            if (!(of_tile > 0.0)) return;
            before += of_last;
            of_last = of_tile;
            begin = tile.begin;
            end = tile.end;
        });
        std::ptrdiff_t found = begin;
        for (std::ptrdiff_t v = begin; v < end && before <= share; ++v) {
            const scalar<double> z = single_logit<real>(in_.student, v);
            scalar<double> w = 0.0;
            if constexpr (ReadsTeacher) w = single_logit<real>(in_.teacher, v);
            const scalar<double> summand = call_on_entry(function, make_entry<ReadsTeacher>(exact_maker_, z, w));
            if (summand.value > 0.0) found = v;
            before += summand.value;
        }
        return found;
    }

private:
    template <class At>
    DISTILL_INLINE constexpr entry<number> entry_at(const At& at) const {
        number w(0.0);
        if constexpr (ReadsTeacher) w = load_logits(team_, in_.teacher, at);
        return make_entry<ReadsTeacher>(maker_, load_logits(team_, in_.student, at), w);
    }

    const Team& team_;
    const row_input<StudentRow, TeacherRow>& in_;
    entry_maker<number, real> maker_;
    entry_maker<scalar<double>, double> exact_maker_;
};

}  // namespace distill::inline DISTILL_ABI::row
