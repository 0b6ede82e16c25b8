/// The gradient at single tokens, in double.
#pragma once

#include <distill/core/scalar.hpp>
#include <distill/row/element.hpp>
#include <distill/row/gradient_sweep.hpp>
#include <distill/row/objective_traits.hpp>
#include <distill/row/softmax.hpp>
#include <distill/row/token_terms.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace distill::inline DISTILL_ABI::row {

template <class Team, class Objective, class StudentRow, class TeacherRow>
struct token_corrections {
    using real = typename Team::real;
    using exact = scalar<double>;
    using traits = row::objective_traits<Objective>;
    static constexpr std::size_t groups = traits::groups;

    const Team& team;
    const Objective& objective;
    const row_input<StudentRow, TeacherRow>& in;
    const std::array<softmax, groups>&student, &teacher;
    const std::array<double, groups>& factors;    ///< of the groups' terms
    const std::array<double, groups>& scales;     ///< weight / T
    const std::array<double, groups>& dlogp_sum;  ///< H

    /// The gradient at the tokens, which differs from what the sweep writes, before the sweep overwrites z:
    /// scale (h + c - p H) in double, with 1 - p formed there, so that a confident student's p - 1 keeps its digits.
    template <class Element>
    DISTILL_INLINE constexpr void operator()(single_entries<traits>& tokens, std::size_t count,
                                             const row_gradient<Element>& gradient) const {
        team.distribute(count, [&](std::size_t n) DISTILL_INLINE_LAMBDA {
            single_entry& correction = tokens[n];
            correction.is_correction = correction.dlogp != 0.0 && in.holds(correction.index);
            for (std::size_t i = 0; i < n; ++i)
                if (tokens[i].dlogp != 0.0 && tokens[i].index == correction.index) correction.is_correction = false;
            if (!correction.is_correction) return;

            const std::int64_t place = correction.index - in.first;
            const exact z = single_logit<real>(in.student, place);
            exact w = 0.0;
            if constexpr (traits::reads_teacher) w = single_logit<real>(in.teacher, place);
            double derivative = 0.0;
            [&]<std::size_t... G>(std::index_sequence<G...>) DISTILL_INLINE_LAMBDA {
                const auto of_group = [&](auto g) DISTILL_INLINE_LAMBDA {
                    const entry<exact> e =
                        make_entry<traits::reads_teacher>(entry_maker<exact, double>(student[g()], teacher[g()]), z, w);
                    double at_token = 0.0;
                    for (std::size_t i = n; i < count; ++i)
                        if (tokens[i].index == correction.index && tokens[i].group == g()) at_token += tokens[i].dlogp;
                    const double h = evaluate_group<g()>(objective, e).dlogp.value * factors[g()];
                    // at_token - p * dlogp_sum, with the part of the dlogp_sum that comes from this very token taken out.
                    derivative +=
                        scales[g()] * (h + at_token * -std::expm1(e.log_p.value) - e.p.value * (dlogp_sum[g()] - at_token));
                };
                (of_group(std::integral_constant<int, G>{}), ...);
            }(std::make_index_sequence<groups>{});
            const double before = gradient.adds ? static_cast<double>(from_element<real>(gradient.data[place])) : 0.0;
            correction.gradient = before + derivative * single_slope<real>(in.student, place);
        });
    }
};

}  // namespace distill::inline DISTILL_ABI::row
