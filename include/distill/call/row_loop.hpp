/// The loop over rows: masks, weights, and what becomes of a row that is not finite. `Call` is a checked_call.
#pragma once

#include <distill/call/row_sums.hpp>
#include <distill/call/row_weights.hpp>
#include <distill/core/number.hpp>
#include <distill/row/row_program.hpp>
#include <distill/row/single_lane.hpp>

#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI::call {

/// `value` in `count` entries of a row.
template <class Team, class Element>
struct row_filling {
    Team team;
    Element* row;
    std::ptrdiff_t count;
    double value;

    DISTILL_INLINE constexpr void operator()() const {
        const typename Team::number filling(value);
        team.for_each_tile(count, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
            team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA { team.store(row, at, filling); });
        });
    }
};

template <class Team, class Element>
DISTILL_INLINE constexpr void fill_row(const Team& team, Element* row, std::ptrdiff_t count, double value) {
    team.outlined(row_filling<Team, Element>{team, row, count, value});
}

/// Where a row's logits are, and where its gradient goes. Teacher and gradient are null where there is none.
template <class Student, class Teacher, class Gradient>
struct row_place {
    const Student* student;
    const Teacher* teacher;
    Gradient* gradient;
};

/// A row of the batch, as the row program reads it: its logits from their place, everything else from the batch.
template <class Batch, class Caps, class Place>
DISTILL_OUTLINED constexpr auto read_row(const Batch& in, const Caps& caps, std::ptrdiff_t row, const Place& place) {
    const auto student = row::student_row(caps, place.student);
    const auto teacher = row::teacher_row(caps, place.teacher);
    row::row_input<std::remove_const_t<decltype(student)>, std::remove_const_t<decltype(teacher)>> input{
        .student = student, .teacher = teacher, .vocabulary = in.student.vocabulary, .index = row};
    if (!in.tokens.empty()) input.sampled_token = in.tokens[row];
    if (!in.teacher_tokens.empty()) input.teacher_token = in.teacher_tokens[row];
    if (!in.labels.empty()) input.label = in.labels[row];
    if (!in.old_log_probs.empty()) input.old_log_prob = in.old_log_probs[row];
    if (!in.teacher_log_probs.empty()) input.teacher_log_prob = in.teacher_log_probs[row];
    input.knows_teacher_log_prob = !in.teacher_log_probs.empty();
    if (!in.advantages.empty()) input.advantage = in.advantages[row];
    if (!in.sequence_log_ratios.empty()) input.sequence_log_ratio = in.sequence_log_ratios[row];
    if (!in.top_tokens.empty()) {
        const std::ptrdiff_t k = in.top_tokens.size() / in.student.rows;
        input.top_tokens = in.top_tokens;
        input.top_log_probs = in.top_log_probs;
        input.top_begin = row * k;
        input.top_end = (row + 1) * k;
    }
    if (!in.temperatures.empty()) input.temperature = in.temperatures[row];
    if (!in.coefficients.empty()) input.coefficient = in.coefficients[row];
    return input;
}

/// `value` in every entry of a row's gradient.
template <class Team, class Call>
DISTILL_INLINE constexpr void fill_gradient(const Team& team, const Call& call, std::ptrdiff_t row, double value) {
    if constexpr (Call::writes) fill_row(team, call.destination.view.row(row), call.in.student.vocabulary, value);
}

/// Zeros in the padding of a row's gradient, where the caller asks for them.
template <class Team, class Call>
DISTILL_INLINE constexpr void fill_padding(const Team& team, const Call& call, std::ptrdiff_t row) {
    if constexpr (Call::writes) {
        const auto& view = call.destination.view;
        if (call.destination.zeroes_padding)
            fill_row(team, view.row(row) + view.vocabulary, view.row_stride - view.vocabulary, 0.0);
    }
}

template <class Team, class Call, class Place>
DISTILL_INLINE constexpr row::row_outcome run_active_row(const Team& team, const Call& call, std::ptrdiff_t row,
                                                         const Place& place, double weight, double denominator);

/// As run_active_row, in double.
template <class Call, class Place>
DISTILL_OUTLINED constexpr row::row_outcome run_row_in_double(const Call& call, std::ptrdiff_t row, const Place& place,
                                                              double weight, double denominator) {
    return run_active_row(row::single_lane{}, call, row, place, weight, denominator);
}

/// A row of a call that is not masked, at a row_place, of a given weight before the denominator. A row that is not finite
/// becomes NaN.
template <class Team, class Call, class Place>
DISTILL_INLINE constexpr row::row_outcome run_active_row(const Team& team, const Call& call, std::ptrdiff_t row,
                                                         const Place& place, double weight, double denominator) {
    row::row_outcome outcome;
    auto input = read_row(call.in, call.caps, row, place);
    input.first = 0;  // a constant to the compiler, which read_row's result is not
    using destination = std::conditional_t<Call::writes, row::row_gradient<typename Call::gradient_type>, row::no_gradient>;
    using program_type =
        row::row_program<Team, typename Call::objective_type, decltype(input.student), decltype(input.teacher), destination>;
    program_type program(team, call.objective, call.temperatures, input);
    program.set_scan(program.scan());
    if constexpr (program_type::may_exceed_float)
        if (program.exceeds_float()) return run_row_in_double(call, row, place, weight, denominator);
    if constexpr (Call::writes) {
        outcome = program(destination{place.gradient, weight / denominator, call.destination.adds});
        if (!outcome.finite) {
            team.synchronize();
            fill_row(team, place.gradient, call.in.student.vocabulary, quiet_nan());
        }
    } else {
        outcome = program(row::no_gradient{});
    }
    return outcome;
}

/// The place of a row in the batch and in the destination.
template <class Call>
constexpr auto place_of(const Call& call, std::ptrdiff_t row) {
    row_place<typename Call::student_type, typename Call::teacher_type, typename Call::gradient_type> place{
        call.in.student.row(row), call.in.teacher.absent() ? nullptr : call.in.teacher.row(row), nullptr};
    if constexpr (Call::writes) place.gradient = call.destination.view.row(row);
    return place;
}

/// One row of a call, of a given weight before the denominator. A masked row is not read.
template <class Team, class Call>
DISTILL_INLINE constexpr row::row_outcome run_row(const Team& team, const Call& call, std::ptrdiff_t row, double own_weight,
                                                  double weight, double denominator) {
    row::row_outcome outcome;
    // A weight may underflow in its sequence's factor: the row is masked by its own weight alone.
    if (own_weight != 0.0) {
        outcome = run_active_row(team, call, row, place_of(call, row), weight, denominator);
    } else if constexpr (Call::writes) {
        if (!call.destination.adds) fill_gradient(team, call, row, 0.0);
    }
    return outcome;
}

/// Rows [begin, end) of a call, none of which disturbs another. `before(row)` is called ahead of every row.
template <class Team, class Call, class Before>
DISTILL_INLINE constexpr row_sums run_rows(const Team& team, const Call& call, std::ptrdiff_t begin, std::ptrdiff_t end,
                                           const Before& before) {
    row_sums sums;
    const auto weigher = call.weigher();
    typename decltype(call.weigher())::cursor cursor(weigher, begin);
    for (std::ptrdiff_t row = begin; row < end; ++row) {
        before(row);
        const double weight = cursor.weight(row);
        const row::row_outcome outcome = run_row(team, call, row, weigher.own_weight(row), weight, call.denominator);
        fill_padding(team, call, row);
        sums = sums + sums_of_row(outcome, weight, call.denominator);
        call.row_losses.store(row, outcome.finite ? outcome.loss : quiet_nan());
    }
    return sums;
}

}  // namespace distill::inline DISTILL_ABI::call
