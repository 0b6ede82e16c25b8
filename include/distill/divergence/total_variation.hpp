#pragma once

#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Total variation distance  1/2 sum_v |p_v - q_v|.
///
/// Summand      1/2 |p - q|                    (>= 0)
/// Derivative   1/2 p sign(p - q)              with respect to log p; 0 where p = q
/// Domain       any p and q; the value is at most 1
/// At p = q     value 0, derivative 0 (a kink: the subgradient chosen is 0)
/// Accuracy     fp32 at V = 151 936: loss 1e-5; tests/laws/accuracy.cpp
/// Source       Wen et al. 2023, f-DISTILL (arXiv 2307.15190)
struct total_variation : term<total_variation> {
    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T half(0.5), zero(0.0);
        const T half_p = half * e.p;
        return {.value = half * abs(e.difference),
                .dlogp = select(e.difference > zero, half_p, select(e.difference < zero, -half_p, zero))};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
