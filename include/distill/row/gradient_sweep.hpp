/// Where a row's gradient goes, and the sweep that writes it where no term is to be evaluated.
#pragma once

#include <distill/core/config.hpp>
#include <distill/row/logit_row.hpp>
#include <distill/row/objective_traits.hpp>
#include <distill/row/row_constant.hpp>
#include <distill/row/softmax.hpp>

#include <array>
#include <cstddef>

namespace distill::inline DISTILL_ABI::row {

/// Where the row's gradient goes, scaled by `weight`.
template <class Element>
struct row_gradient {
    Element* data;
    double weight;
    bool adds;
};

/// In place of a row_gradient where only the value is computed.
struct no_gradient {};

template <class Team, class StudentRow, class Element, class At>
DISTILL_INLINE constexpr void store_gradient(const Team& team, const StudentRow& student,
                                             const row_gradient<Element>& gradient, const At& at,
                                             const typename Team::number& derivative) {
    typename Team::number dz = through_cap(team, student, at, derivative);
    if (gradient.adds) dz = dz + team.load(gradient.data, at);
    team.store(gradient.data, at, dz);
}

/// Sweep 3 where it evaluates no term: h is read from the team's scratch (Kept) or is 0. One function serves all objectives.
template <bool Kept, std::size_t Groups, class Team, class StudentRow, class Element>
struct gradient_sweep {
    using number = typename Team::number;

    Team team;
    StudentRow student;
    std::ptrdiff_t vocabulary;
    std::array<softmax, Groups> softmaxes;
    std::array<double, Groups> dlogp_sums;  ///< -weight / T H, by group
    row_gradient<Element> gradient;

    DISTILL_INLINE constexpr void operator()() const {
        std::array<entry_maker<number, typename Team::real>, Groups> makers;
        std::array<number, Groups> dlogp_sum;
        for (std::size_t g = 0; g < Groups; ++g) {
            makers[g] = entry_maker<number, typename Team::real>(softmaxes[g], softmax{});
            dlogp_sum[g] = row_constant<number>(dlogp_sums[g]);
        }
        // A copy, so that the compiler sees that a store does not change where the next one goes.
        const row_gradient<Element> destination = gradient;
        const number weight = row_constant<number>(destination.weight);
        team.for_each_tile(vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
            team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                team.prefetch_next_tile(destination.data, at);
                if constexpr (!Kept) team.prefetch_next_tile(address_of(student), at);
                const number z = load_logits(team, student, at);
                number dz(empty_sum);
                if constexpr (Kept) dz = team.load(team.scratch(), at) * weight;
                for (std::size_t g = 0; g < Groups; ++g) dz = fma(makers[g].probability(z), dlogp_sum[g], dz);
                store_gradient(team, student, destination, at, dz);
            });
        });
    }
};

}  // namespace distill::inline DISTILL_ABI::row
