#pragma once

#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Squared Hellinger distance  1/2 sum_v (sqrt p_v - sqrt q_v)^2.
///
/// Summand      1/2 (sqrt p - sqrt q)^2        (>= 0), with sqrt p - sqrt q = (p - q) / (sqrt p + sqrt q)
/// Derivative   1/2 sqrt p (sqrt p - sqrt q)   with respect to log p
/// Domain       any p and q; the value is at most 1
/// At p = q     value 0, derivative 0
/// Accuracy     fp32 at V = 151 936: loss 1e-5; tests/laws/accuracy.cpp
/// Source       Hellinger 1909; alpha = 1/2 of the alpha divergences (Amari 1985)
struct squared_hellinger : term<squared_hellinger> {
    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T half(0.5);
        const T root_p = sqrt(e.p);
        const T d = e.difference / max(root_p + sqrt(e.q), T(smallest_root));
        return {.value = half * d * d, .dlogp = half * root_p * d};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
