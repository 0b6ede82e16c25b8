/// Elementary functions of packs.
///
/// float: polynomials fitted by the Remez algorithm. Largest relative error over the stated range, measured against double
/// by tests/unit/backend/simd/math.cpp:
///     exp2     [-126, 127]            3e-7     exactly 0 below -126.5, exactly 1 at 0
///     exp      [-87, 88]              3e-7     0 below, clamped at exp(88) above
///     expm1    [-87, 88]              4e-7
///     log      [1.2e-38, 3e38]        2e-7     values below are taken as 1.2e-38: log(0) is about -87.3
///     log1p    (-1, 1e38]             3e-7     -1 is taken as -1 + 2^-24: about -16.6
///     sqrt     [1.2e-38, 3e38]        2e-7     exactly 0 below
/// double: those of core/scalar.hpp, lane by lane.
///
/// Bounds are taken by the bits (pack.hpp). So at every level of optimisation exp, expm1, log and log1p make a finite number
/// of a float that is NaN, and exp2 and sqrt a NaN.
#pragma once

#include <distill/backend/simd/pack.hpp>
#include <distill/backend/simd/scaled_exponential.hpp>

#include <distill/core/number.hpp>
#include <distill/core/scalar.hpp>
#include <distill/row/polynomial.hpp>

#include <cstdint>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::simd {

namespace detail {

inline constexpr double log2_e = 1.4426950408889634074;
inline constexpr double ln_2 = 0.69314718055994530942;

/// 1.5 * 2^23 + 127: added to y, it leaves 127 + the integer n nearest to y in the low bits. Shifted to the left by 23 they
/// are 2^n, and exactly 0 for n = -127; subtracted again, it leaves n.
inline constexpr double rounding_shift = 12583039.0;

/// log of m 2^e where x = m 2^e - offset: both log and log1p end here. f = m - 1 in [sqrt(1/2) - 1, sqrt(2) - 1].
template <class Pack>
DISTILL_INLINE Pack log_from_parts(const Pack& f, const typename Pack::integers& e) {
    const Pack square = f * f;
    const Pack exponent = Pack::from(__builtin_convertvector(e, typename Pack::floats));
    // f - f^2 / 2 + f^3 t(f) + e ln 2, smallest parts first.
    const Pack tail = polynomial(f, 0.333333316579, -0.25000819809, 0.200012283033, -0.166233942426, 0.142017631311,
                                 -0.13159876924, 0.127613868712, -0.0763497468826);
    const Pack correction = fma(square * f, tail, square * Pack(-0.5));
    return fma(exponent, Pack(ln_2), f + correction);
}

inline constexpr std::int32_t half_root_bits = 0x3f3504f3;  // sqrt(1/2)

}  // namespace detail

/// 2^y for y <= 127; NaN of NaN.
template <int Width>
DISTILL_INLINE pack<float, Width> exp2(const pack<float, Width>& y) {
    using P = pack<float, Width>;
    if constexpr (has_table_of_powers<float, Width>) {
        return row::scaled_exponential<P, false>(1.0)(y);
    } else {
        P clamped;
        if constexpr (requires { &P::processor::raise_to; })
            P::processor::raise_to(y.lanes, P(-127.0).lanes, clamped.lanes);
        else
            clamped = select(is_nan(y), y, at_least(y, P(-127.0)));
        const P shifted = fence(clamped + P(detail::rounding_shift));
        typename P::integers sum;
        shifted.bits(sum);
        const P fraction = clamped - fence(shifted - P(detail::rounding_shift));
        const P mantissa =
            polynomial(fraction, 1.0, 0.6931469776, 0.240222420857, 0.0555073374178, 0.00967151262485, 0.00132647276118);
        return mantissa * P::from_bits(sum << 23);
    }
}

namespace detail {

/// exp(x) = 2^n (1 + rest), for |x| <= 88.
template <class Pack>
struct exp_parts {
    Pack power, rest;

    DISTILL_INLINE explicit exp_parts(const Pack& x) {
        const Pack shifted = fence(fma(x, Pack(log2_e), Pack(rounding_shift)));
        typename Pack::integers sum;
        shifted.bits(sum);
        const Pack n = fence(shifted - Pack(rounding_shift));
        // ln 2 in two parts: n times the first is exact.
        const Pack f = fma(n, Pack(2.12194440e-4), fence(fma(n, Pack(-0.693359375), x)));
        rest = f * polynomial(f, 1.0, 0.499999981192, 0.16666505899, 0.0416671371471, 0.00836910429659, 0.00138888728597);
        power = Pack::from_bits(sum << 23);
    }
};

}  // namespace detail

template <int Width>
DISTILL_INLINE pack<float, Width> exp(const pack<float, Width>& x) {
    using P = pack<float, Width>;
    const detail::exp_parts<P> parts(at_least(at_most(x, P(88.0)), P(-88.0)));
#if defined( \
    __FAST_MATH__)  // a product with the power may be subnormal, which is 0 to a program that is linked with that flag
    return parts.power * fence(parts.rest + P(1.0));
#else
    return fma(parts.rest, parts.power, parts.power);
#endif
}

template <int Width>
DISTILL_INLINE pack<float, Width> expm1(const pack<float, Width>& x) {
    using P = pack<float, Width>;
    const detail::exp_parts<P> parts(at_least(at_most(x, P(88.0)), P(-88.0)));
    return fma(parts.rest, parts.power, parts.power - P(1.0));
}

template <int Width>
DISTILL_INLINE pack<float, Width> log(const pack<float, Width>& x) {
    using P = pack<float, Width>;
    typename P::integers v;
    at_least_positive(x, P(smallest_normal)).bits(v);
    const typename P::integers e = (v - detail::half_root_bits) >> 23;
    return detail::log_from_parts(P::from_bits(v - (e << 23)) - P(1.0), e);
}

template <int Width>
DISTILL_INLINE pack<float, Width> log1p(const pack<float, Width>& x) {
    using P = pack<float, Width>;
    typename P::integers v;
    const P clamped = at_least(at_most(x, P(1e38)), P(-0.99999994));
    (P(1.0) + clamped).bits(v);
    const typename P::integers e = (v - detail::half_root_bits) >> 23;
    // (1 + x) 2^-e - 1 = x 2^-e + (2^-e - 1): x itself where e = 0, so nothing is lost near 0.
    const P scale = P::from_bits((127 - e) << 23);
    return detail::log_from_parts(fma(clamped, scale, scale - P(1.0)), e);
}

template <int Width>
DISTILL_INLINE pack<float, Width> sqrt(const pack<float, Width>& x) {
    using P = pack<float, Width>;
    typename P::integers v;
    x.bits(v);
    P inverse = P::from_bits(0x5f3759df - (v >> 1));
    // Products in an order in which none overflows, and none is subnormal.
    for (int i = 0; i < 3; ++i) {
        const P half_root = fence(x * fence(inverse * P(0.5)));
        inverse = inverse * fma(half_root, -inverse, P(1.5));
    }
    const P root = fence(x * inverse);
    // root * inverse is 1 + twice the relative error of both.
    const P correction = fma(fence(root * inverse), P(-0.5), P(0.5));
    return select(x < P(smallest_normal), P(0.0), fma(root, correction, root));
}

#define DISTILL_DOUBLE_LANES(function)                                                                         \
    template <int Width>                                                                                       \
    DISTILL_INLINE pack<double, Width> function(const pack<double, Width>& x) {                                \
        return map(x, [](double lane) DISTILL_INLINE_LAMBDA { return function(scalar<double>(lane)).value; }); \
    }
DISTILL_DOUBLE_LANES(exp2)
DISTILL_DOUBLE_LANES(exp)
DISTILL_DOUBLE_LANES(expm1)
DISTILL_DOUBLE_LANES(log)
DISTILL_DOUBLE_LANES(log1p)
DISTILL_DOUBLE_LANES(sqrt)
#undef DISTILL_DOUBLE_LANES

}  // namespace distill::inline DISTILL_ABI::simd

#include <distill/core/macros_of_others.hpp>
