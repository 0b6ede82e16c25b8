#pragma once

#include <distill/divergence/entropy.hpp>
#include <distill/token/floored_cross_entropy.hpp>

namespace distill::inline DISTILL_ABI {

/// Reverse KL to a teacher that sends its most probable tokens S, with log q taken as `floor` outside:
///
///     floored_cross_entropy{floor} - entropy{}
///
/// sum_v p_v (log p_v - l_v), l = log q on S and the floor elsewhere. It drives the student's mass out of the rest, the more
/// the lower the floor. exp(l) need not sum to 1: where the floor is too high for the rest, the value may be negative.
/// Source: NeMo-RL, which calls it zero_outside_topk.
struct floored_reverse_kl {
    using objective_part = composition_part;

    double floor = -16.0;

    /// A template, so that the sum is compiled where it is used alone.
    template <class Floored = floored_cross_entropy>
    [[nodiscard]] constexpr auto compose() const {
        return Floored{floor} - entropy{};
    }
};

}  // namespace distill::inline DISTILL_ABI
