/// Two packs side by side as one number: what loops over entries compute in.
#pragma once

#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack.hpp>
#include <distill/backend/simd/scaled_exponential.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {
namespace simd {

/// The truth values of two packs.
template <class Pack>
struct pack_pair_mask {
    typename Pack::mask_type first, second;
};

/// Every function is the first pack's, then the second's. A term is a long chain of operations, each of which waits for the
/// one before it; two chains that take turns leave the processor half as long without work.
template <class Pack>
struct pack_pair {
    using mask_type = pack_pair_mask<Pack>;

    Pack first, second;

    pack_pair() = default;
    DISTILL_INLINE pack_pair(double x) : first(x), second(first) {}
    DISTILL_INLINE pack_pair(const Pack& a, const Pack& b) : first(a), second(b) {}
    /// See row/row_constant.hpp.
    static DISTILL_INLINE pack_pair row_constant(double x) {
        const Pack of_both = Pack::row_constant(x);
        return {of_both, of_both};
    }

#define DISTILL_PACK_PAIR(Result, function, parameters, of_first, of_second) \
    friend DISTILL_INLINE Result function parameters { return {of_first, of_second}; }
#define DISTILL_PACK_PAIR_OF_1(function) \
    DISTILL_PACK_PAIR(pack_pair, function, (const pack_pair& a), function(a.first), function(a.second))
#define DISTILL_PACK_PAIR_OF_2(function)                                                                         \
    DISTILL_PACK_PAIR(pack_pair, function, (const pack_pair& a, const pack_pair& b), function(a.first, b.first), \
                      function(a.second, b.second))
#define DISTILL_PACK_PAIR_OPERATOR(Result, symbol)                                                               \
    DISTILL_PACK_PAIR(Result, operator symbol, (const pack_pair& a, const pack_pair& b), a.first symbol b.first, \
                      a.second symbol b.second)
    DISTILL_PACK_PAIR_OPERATOR(pack_pair, +)
    DISTILL_PACK_PAIR_OPERATOR(pack_pair, -)
    DISTILL_PACK_PAIR_OPERATOR(pack_pair, *)
    DISTILL_PACK_PAIR_OPERATOR(pack_pair, /)
    DISTILL_PACK_PAIR_OPERATOR(mask_type, <)
    DISTILL_PACK_PAIR_OPERATOR(mask_type, >)
    DISTILL_PACK_PAIR_OPERATOR(mask_type, <=)
    DISTILL_PACK_PAIR_OPERATOR(mask_type, >=)
    DISTILL_PACK_PAIR(pack_pair, operator-, (const pack_pair& a), -a.first, -a.second)
    DISTILL_PACK_PAIR_OF_1(abs)
    DISTILL_PACK_PAIR_OF_1(exp)
    DISTILL_PACK_PAIR_OF_1(exp2)
    DISTILL_PACK_PAIR_OF_1(expm1)
    DISTILL_PACK_PAIR_OF_1(log)
    DISTILL_PACK_PAIR_OF_1(log1p)
    DISTILL_PACK_PAIR_OF_1(sqrt)
    DISTILL_PACK_PAIR_OF_1(fence)
    DISTILL_PACK_PAIR_OF_2(min)
    DISTILL_PACK_PAIR_OF_2(max)
    DISTILL_PACK_PAIR_OF_2(at_least)
    DISTILL_PACK_PAIR_OF_2(clamp_magnitude)
    DISTILL_PACK_PAIR_OF_2(larger_magnitude)
    DISTILL_PACK_PAIR(mask_type, is_finite, (const pack_pair& a), is_finite(a.first), is_finite(a.second))
    DISTILL_PACK_PAIR(mask_type, is_nan, (const pack_pair& a), is_nan(a.first), is_nan(a.second))
    DISTILL_PACK_PAIR(pack_pair, fma, (const pack_pair& a, const pack_pair& b, const pack_pair& c),
                      fma(a.first, b.first, c.first), fma(a.second, b.second, c.second))
    DISTILL_PACK_PAIR(pack_pair, select, (const mask_type& m, const pack_pair& a, const pack_pair& b),
                      select(m.first, a.first, b.first), select(m.second, a.second, b.second))
#undef DISTILL_PACK_PAIR_OPERATOR
#undef DISTILL_PACK_PAIR_OF_2
#undef DISTILL_PACK_PAIR_OF_1
#undef DISTILL_PACK_PAIR
};

}  // namespace simd

template <class Pack, bool HasFactor>
class row::scaled_exponential<simd::pack_pair<Pack>, HasFactor> {
public:
    scaled_exponential() = default;
    DISTILL_INLINE explicit scaled_exponential(double scale, double factor = 1.0) : of_pack_(scale, factor) {}

    DISTILL_INLINE simd::pack_pair<Pack> operator()(const simd::pack_pair<Pack>& x) const {
        return {of_pack_(x.first), of_pack_(x.second)};
    }

private:
    scaled_exponential<Pack, HasFactor> of_pack_;
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
