#pragma once

#include <distill/objective/term.hpp>

namespace distill::inline DISTILL_ABI {

/// Entropy of the student  H(p) = -sum_v p_v log p_v, in nats. An entropy bonus is a negative coefficient.
///
/// Summand      -p log p
/// Derivative   -p (log p + 1)                 with respect to log p
/// Domain       any p; p = 0 contributes 0
/// At p = q     value H(p), derivative unchanged: the teacher is not read
/// Accuracy     fp32 at V = 151 936: loss 1e-5; tests/laws/accuracy.cpp
/// Source       Shannon 1948
struct entropy : term<entropy> {
    static constexpr fields needs = fields::none;

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T value = -e.p * e.log_p;
        return {.value = value, .dlogp = value - e.p};
    }
};

}  // namespace distill::inline DISTILL_ABI
