/// Rows of a checked call whose logits are in a window: memory for a few rows at a time.
#pragma once

#include <distill/call/checked_call.hpp>
#include <distill/call/row_loop.hpp>
#include <distill/call/row_sums.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/number.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI::call {

/// What a backend reads of the batch of a call: how many rows, and how long they are.
struct rows_of_window {
    struct {
        std::ptrdiff_t rows, vocabulary;
    } student;
};

/// The active rows rows[0], rows[1], ... of a call, of these weights before the denominator. The logits of rows[i] are row
/// i of `student` and of `teacher`, its gradient is row i of `gradient`; where `teacher` is absent, the batch has the
/// teacher's logits of all rows, if any. Every row's loss goes to the call's row_losses. The sums are counts alone: what
/// losses add up to depends on the order of all rows of the call (kept_losses).
template <class Call>
struct call_in_window {
    using student_type = typename Call::student_type;
    using teacher_type = typename Call::teacher_type;
    using gradient_type = typename Call::gradient_type;
    static constexpr bool keeps_derivatives = Call::keeps_derivatives;

    const Call& call;
    const std::ptrdiff_t* rows;
    const double* weights;
    logits_view<const student_type> student;
    logits_view<const teacher_type> teacher;
    logits_view<gradient_type> gradient;
    rows_of_window in;

    template <class Team>
    DISTILL_INLINE constexpr row_sums run(const Team& team, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        row_sums sums;
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            const std::ptrdiff_t row = rows[i];
            row_place<student_type, teacher_type, gradient_type> place{student.row(i),
                                                                       !teacher.absent()           ? teacher.row(i)
                                                                       : !call.in.teacher.absent() ? call.in.teacher.row(row)
                                                                                                   : nullptr,
                                                                       nullptr};
            if constexpr (Call::writes) place.gradient = gradient.row(i);
            const row::row_outcome outcome = run_active_row(team, call, row, place, weights[i], call.denominator);
            call.row_losses.store(row, outcome.finite ? outcome.loss : quiet_nan());
            if (!outcome.finite) continue;
            sums.clipped_rows += outcome.clipped ? 1 : 0;
            sums.guarded_rows += outcome.guarded ? 1 : 0;
        }
        return sums;
    }
};

/// The sums of losses that were kept, NaN for rows that are not finite, in the order and with the bits of the call whose
/// logits are all in memory. Losses of masked rows are not read.
template <class Call>
struct kept_losses {
    using student_type = typename Call::student_type;
    using teacher_type = typename Call::teacher_type;
    using gradient_type = void;
    static constexpr bool keeps_derivatives = false;

    const Call& call;
    const double* losses;
    const batch<student_type, teacher_type>& in = call.in;

    template <class Team>
    DISTILL_INLINE constexpr row_sums run(const Team&, std::ptrdiff_t begin, std::ptrdiff_t end) const {
        row_sums sums;
        const auto weigher = call.weigher();
        typename decltype(call.weigher())::cursor cursor(weigher, begin);
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            row::row_outcome outcome;
            if (weigher.own_weight(row) != 0.0) outcome = {.loss = losses[row], .finite = is_finite(losses[row])};
            sums = sums + sums_of_row(outcome, cursor.weight(row), call.denominator);
        }
        return sums;
    }
};

}  // namespace distill::inline DISTILL_ABI::call
