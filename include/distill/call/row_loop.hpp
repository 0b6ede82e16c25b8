/// The loop over rows: masks, weights, and what becomes of a row that is not finite.
#pragma once

#include <distill/call/row_weights.hpp>
#include <distill/core/gradient.hpp>
#include <distill/core/number.hpp>
#include <distill/core/reduction.hpp>
#include <distill/core/result.hpp>
#include <distill/row/row_program.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI::call {

template <class Destination>
struct element_of {
    using type = void;
};
template <class Element>
struct element_of<gradient<Element>> {
    using type = Element;
};

/// A job is computed in double where it reads or writes some.
template <class Job>
inline constexpr bool any_double =
    std::is_same_v<typename Job::student_type, double> || std::is_same_v<typename Job::teacher_type, double> ||
    std::is_same_v<typename Job::gradient_type, double>;

/// Totals over some rows; blocks of rows add up in their order.
struct row_sums {
    double weighted_loss = 0.0;
    std::ptrdiff_t nonfinite_rows = 0;
    std::ptrdiff_t clipped_rows = 0;
    std::ptrdiff_t guarded_rows = 0;

    friend constexpr row_sums operator+(const row_sums& a, const row_sums& b) {
        return {a.weighted_loss + b.weighted_loss, a.nonfinite_rows + b.nonfinite_rows, a.clipped_rows + b.clipped_rows,
                a.guarded_rows + b.guarded_rows};
    }
};

/// A row's part of the totals, of a given weight before the denominator.
constexpr row_sums sums_of_row(const row::row_outcome& outcome, double weight) {
    if (!outcome.finite) return {.nonfinite_rows = 1};
    return {weight * outcome.loss, 0, outcome.clipped ? 1 : 0, outcome.guarded ? 1 : 0};
}

/// What a call answers.
constexpr loss_result result_of(const row_sums& sums, const row_totals& rows, double denominator) {
    return {.value = sums.nonfinite_rows > 0 ? quiet_nan()
                     : rows.active_rows == 0 ? 0.0
                                             : sums.weighted_loss / denominator,
            .denominator = denominator,
            .active_rows = rows.active_rows,
            .nonfinite_rows = sums.nonfinite_rows,
            .clipped_rows = sums.clipped_rows,
            .guarded_rows = sums.guarded_rows};
}

/// One checked call, as a backend receives it. Destination is gradient<Element>, or row::no_gradient.
template <class Objective, class Reduction, class Student, class Teacher, class Destination, class Caps>
struct job {
    using objective_type = Objective;
    using student_type = Student;
    using teacher_type = Teacher;
    using gradient_type = typename element_of<Destination>::type;

    /// The row program makes use of a row of scratch.
    static constexpr bool keeps_derivatives = row::objective_traits<Objective>::needs_dlogp_sum &&
                                              !row::objective_traits<Objective>::dlogp_sum_is_reverse_kl &&
                                              !std::is_same_v<Destination, row::no_gradient>;

    const Objective& objective;
    std::array<temperature, row::objective_traits<Objective>::groups> temperatures;
    const batch<Student, Teacher>& in;
    row_weigher<batch<Student, Teacher>, Reduction> weigher;
    double denominator;
    [[no_unique_address]] Caps caps;
    Destination destination;
    float* row_losses_narrow = nullptr;
    double* row_losses_wide = nullptr;

    /// Rows [begin, end).
    template <class Team>
    DISTILL_INLINE constexpr row_sums run(const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const;

    constexpr void store_row_loss(std::ptrdiff_t row, double loss) const {
        if (row_losses_narrow != nullptr) row_losses_narrow[row] = static_cast<float>(loss);
        if (row_losses_wide != nullptr) row_losses_wide[row] = loss;
    }
};

/// Rows are worked on in at most this many blocks, whose bounds depend on the number of rows alone: any number of threads
/// adds up the same sums in the same order.
inline constexpr std::ptrdiff_t max_blocks = 256;

struct row_blocks {
    std::ptrdiff_t rows;

    [[nodiscard]] constexpr std::ptrdiff_t rows_per_block() const { return (rows + max_blocks - 1) / max_blocks; }
    [[nodiscard]] constexpr std::ptrdiff_t count() const {
        return rows == 0 ? 0 : (rows + rows_per_block() - 1) / rows_per_block();
    }
    [[nodiscard]] constexpr std::ptrdiff_t begin(std::ptrdiff_t block) const { return block * rows_per_block(); }
    [[nodiscard]] constexpr std::ptrdiff_t end(std::ptrdiff_t block) const {
        return begin(block) + rows_per_block() < rows ? begin(block) + rows_per_block() : rows;
    }
};

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

template <class Batch, class Caps>
DISTILL_OUTLINED constexpr auto read_row(const Batch& in, const Caps& caps, std::ptrdiff_t row) {
    const auto student = row::student_row(caps, in.student.row(row));
    const auto teacher = row::teacher_row(caps, in.teacher.absent() ? nullptr : in.teacher.row(row));
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
template <class Team, class Job>
DISTILL_INLINE constexpr void fill_gradient(const Team& team, const Job& job, std::ptrdiff_t row, double value) {
    if constexpr (!std::is_same_v<decltype(job.destination), row::no_gradient>)
        fill_row(team, job.destination.view.row(row), job.in.student.vocabulary, value);
}

/// Zeros in the padding of a row's gradient, where the caller asks for them.
template <class Team, class Job>
DISTILL_INLINE constexpr void fill_padding(const Team& team, const Job& job, std::ptrdiff_t row) {
    if constexpr (!std::is_same_v<decltype(job.destination), row::no_gradient>) {
        const auto& view = job.destination.view;
        if (job.destination.zeroes_padding)
            fill_row(team, view.row(row) + view.vocabulary, view.row_stride - view.vocabulary, 0.0);
    }
}

/// One row of a job, of a given weight before the denominator. A masked row is not read; a row that is not finite becomes NaN.
template <class Team, class Job>
DISTILL_INLINE constexpr row::row_outcome run_row(const Team& team, const Job& job, std::ptrdiff_t row, double weight) {
    constexpr bool writes = !std::is_same_v<decltype(job.destination), row::no_gradient>;
    row::row_outcome outcome;
    // A weight may underflow in its sequence's factor: the row is masked by its own weight alone.
    if (job.weigher.own_weight(row) != 0.0) {
        const auto input = read_row(job.in, job.caps, row);
        using destination = std::conditional_t<writes, row::row_gradient<typename Job::gradient_type>, row::no_gradient>;
        const row::row_program<Team, typename Job::objective_type, decltype(input.student), decltype(input.teacher),
                               destination>
            program(team, job.objective, job.temperatures, input);
        if constexpr (writes) {
            outcome = program(destination{job.destination.view.row(row), weight / job.denominator, job.destination.adds});
            if (!outcome.finite) {
                team.synchronize();
                fill_gradient(team, job, row, quiet_nan());
            }
        } else {
            outcome = program(row::no_gradient{});
        }
    } else if constexpr (writes) {
        if (!job.destination.adds) fill_gradient(team, job, row, 0.0);
    }
    return outcome;
}

/// Rows [begin, end) of a job, none of which disturbs another.
template <class Team, class Job>
DISTILL_INLINE constexpr row_sums run_rows(const Team& team, const Job& job, std::ptrdiff_t begin, std::ptrdiff_t end) {
    row_sums sums;
    typename decltype(job.weigher)::cursor cursor(job.weigher, begin);
    for (std::ptrdiff_t row = begin; row < end; ++row) {
        const double weight = cursor.weight(row);
        const row::row_outcome outcome = run_row(team, job, row, weight);
        fill_padding(team, job, row);
        sums = sums + sums_of_row(outcome, weight);
        job.store_row_loss(row, outcome.finite ? outcome.loss : quiet_nan());
    }
    return sums;
}

template <class Objective, class Reduction, class Student, class Teacher, class Destination, class Caps>
template <class Team>
DISTILL_INLINE constexpr row_sums job<Objective, Reduction, Student, Teacher, Destination, Caps>::run(
    const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const {
    return run_rows(team, *this, begin, end);
}

/// A job of rows beside another one: on every row first `before`, then `after`, whose sums are the pair's.
template <class Before, class After>
struct job_pair {
    using student_type = typename After::student_type;
    using teacher_type = typename After::teacher_type;
    using gradient_type = typename After::gradient_type;
    static constexpr bool keeps_derivatives = After::keeps_derivatives;

    const Before& before;
    const After& after;
    const batch<student_type, teacher_type>& in = after.in;

    template <class Team>
    DISTILL_INLINE constexpr row_sums run(const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        row_sums sums;
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            static_cast<void>(before.run(team, row, row + 1));
            sums = sums + after.run(team, row, row + 1);
        }
        return sums;
    }
};

}  // namespace distill::inline DISTILL_ABI::call
