/// A number of several lanes in one CUDA thread: what a thread works on between two loads.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/scalar.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::device {

/// One truth value per lane.
template <int Count>
struct lane_mask {
    bool lane[Count];
};

/// Count scalars at once, lane by lane.
template <class Float, int Count>
struct lanes {
    scalar<Float> lane[Count];

    constexpr lanes() = default;
    constexpr lanes(double x) {
        for (int i = 0; i < Count; ++i) lane[i] = scalar<Float>(x);
    }

#define DISTILL_LANES(function, parameters, expression)              \
    friend constexpr lanes function parameters {                     \
        lanes result;                                                \
        for (int i = 0; i < Count; ++i) result.lane[i] = expression; \
        return result;                                               \
    }
#define DISTILL_LANES_MASK(function, parameters, expression)         \
    friend constexpr lane_mask<Count> function parameters {          \
        lane_mask<Count> result;                                     \
        for (int i = 0; i < Count; ++i) result.lane[i] = expression; \
        return result;                                               \
    }
    DISTILL_LANES(operator+, (const lanes& a, const lanes& b), a.lane[i] + b.lane[i])
    DISTILL_LANES(operator-, (const lanes& a, const lanes& b), a.lane[i] - b.lane[i])
    DISTILL_LANES(operator*, (const lanes& a, const lanes& b), a.lane[i] * b.lane[i])
    DISTILL_LANES(operator/, (const lanes& a, const lanes& b), a.lane[i] / b.lane[i])
    DISTILL_LANES(operator-, (const lanes& a), -a.lane[i])
    DISTILL_LANES(abs, (const lanes& a), abs(a.lane[i]))
    DISTILL_LANES(min, (const lanes& a, const lanes& b), min(a.lane[i], b.lane[i]))
    DISTILL_LANES(max, (const lanes& a, const lanes& b), max(a.lane[i], b.lane[i]))
    DISTILL_LANES(exp, (const lanes& a), exp(a.lane[i]))
    DISTILL_LANES(exp2, (const lanes& a), exp2(a.lane[i]))
    DISTILL_LANES(expm1, (const lanes& a), expm1(a.lane[i]))
    DISTILL_LANES(log, (const lanes& a), log(a.lane[i]))
    DISTILL_LANES(log1p, (const lanes& a), log1p(a.lane[i]))
    DISTILL_LANES(sqrt, (const lanes& a), sqrt(a.lane[i]))
    DISTILL_LANES(fma, (const lanes& a, const lanes& b, const lanes& c), fma(a.lane[i], b.lane[i], c.lane[i]))
    DISTILL_LANES(select, (const lane_mask<Count>& mask, const lanes& a, const lanes& b),
                  mask.lane[i] ? a.lane[i] : b.lane[i])
    // What core/scalar.hpp adds.
    DISTILL_LANES(at_least, (const lanes& a, const lanes& bound), at_least(a.lane[i], bound.lane[i]))
    DISTILL_LANES(clamp_magnitude, (const lanes& a, const lanes& bound), clamp_magnitude(a.lane[i], bound.lane[i]))
    DISTILL_LANES(larger_magnitude, (const lanes& a, const lanes& b), larger_magnitude(a.lane[i], b.lane[i]))
    DISTILL_LANES_MASK(operator<, (const lanes& a, const lanes& b), a.lane[i] < b.lane[i])
    DISTILL_LANES_MASK(operator>, (const lanes& a, const lanes& b), a.lane[i] > b.lane[i])
    DISTILL_LANES_MASK(operator<=, (const lanes& a, const lanes& b), a.lane[i] <= b.lane[i])
    DISTILL_LANES_MASK(operator>=, (const lanes& a, const lanes& b), a.lane[i] >= b.lane[i])
    DISTILL_LANES_MASK(is_finite, (const lanes& a), is_finite(a.lane[i]))
    DISTILL_LANES_MASK(is_nan, (const lanes& a), is_nan(a.lane[i]))
#undef DISTILL_LANES
#undef DISTILL_LANES_MASK
};

}  // namespace distill::inline DISTILL_ABI::device

#include <distill/core/macros_of_others.hpp>
