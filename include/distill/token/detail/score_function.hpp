/// What the score-function terms share: a sampled token, an advantage that is held constant, an importance ratio.
#pragma once

#include <distill/core/entry.hpp>
#include <distill/core/number.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Who sampled the token.
enum class importance {
    none,   ///< the present student: y ~ p
    ratio,  ///< an older one: y ~ p_old, weighted with r = p(y) / p_old(y), and the advantage is that of p_old
};

/// Log-ratios are clamped to [-log_ratio_guard, log_ratio_guard], and rows outside are counted as guarded.
inline constexpr double log_ratio_guard = 20.0;

namespace detail {

/// The domain of a surrogate's ratio bounds.
constexpr const char* ratio_bounds_error(double lower, double upper) noexcept {
    return is_finite(lower) && is_finite(upper) && lower >= 0.0 && lower <= 1.0 && upper >= 1.0 && upper <= 1e6
               ? nullptr
               : "the ratio bounds satisfy 0 <= lower <= 1 <= upper <= 1e6";
}

/// x held to [floor, ceiling], and 1 where it was outside.
template <class T>
struct held {
    T value, outside;

    constexpr held(const T& x, const T& floor, const T& ceiling)
        : value(min(max(x, floor), ceiling)),
          outside(max(select(x < floor, T(1.0), T(0.0)), select(x > ceiling, T(1.0), T(0.0)))) {}
};

/// log p(y) of the student that sampled the token.
template <importance Importance, class T>
constexpr T sampling_log_prob(const token_entry<T>& e) {
    if constexpr (Importance == importance::ratio)
        return e.old_log_prob;
    else
        return e.log_p;
}

/// -r A at the sampled token, as value and as derivative.
template <importance Importance, class T>
constexpr token_summand<T> score_function(const token_entry<T>& e, const T& advantage, const T& guarded) {
    if constexpr (Importance == importance::ratio) {
        const held<T> log_ratio(e.log_p - e.old_log_prob, T(-log_ratio_guard), T(log_ratio_guard));
        const T weighted = -exp(log_ratio.value) * advantage;
        // Where the guard holds the ratio, it has no slope.
        return {.value = weighted,
                .dlogp = select(log_ratio.outside > T(0.0), T(0.0), weighted),
                .clipped = T(0.0),
                .guarded = max(guarded, log_ratio.outside)};
    } else {
        return {.value = -advantage, .dlogp = -advantage, .clipped = T(0.0), .guarded = guarded};
    }
}

/// -min(r A, clip(r, lower, upper) A) for r = exp(log_ratio), whose slope is r.
template <class T>
constexpr token_summand<T> ratio_surrogate(const T& unheld_log_ratio, const T& advantage, double lower, double upper) {
    const held<T> log_ratio(unheld_log_ratio, T(-log_ratio_guard), T(log_ratio_guard));
    const T ratio = exp(log_ratio.value);
    const T unclipped = ratio * advantage;
    const T bounded = min(max(ratio, T(lower)), T(upper)) * advantage;
    const T clipped = select(bounded < unclipped, T(1.0), T(0.0));
    return {.value = -min(unclipped, bounded),
            .dlogp = select(max(clipped, log_ratio.outside) > T(0.0), T(0.0), -unclipped),
            .clipped = clipped,
            .guarded = log_ratio.outside};
}

}  // namespace detail
}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
