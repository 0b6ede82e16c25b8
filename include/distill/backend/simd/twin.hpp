/// Two packs side by side as one number: what loops over entries compute in.
#pragma once

#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack.hpp>
#include <distill/backend/simd/scaled_exponential.hpp>

namespace distill {
namespace simd {

/// The truth values of two packs.
template <class Pack>
struct twin_mask {
    typename Pack::mask_type first, second;
};

/// Every function is the first pack's, then the second's. A term is a long chain of operations, each of which waits for the one
/// before it; two chains that take turns leave the processor half as long without work.
template <class Pack>
struct twin {
    using mask_type = twin_mask<Pack>;

    Pack first, second;

    twin() = default;
    DISTILL_INLINE twin(double x) : first(x), second(first) {}
    DISTILL_INLINE twin(const Pack& a, const Pack& b) : first(a), second(b) {}
    /// See kernel/row_constant.hpp.
    static DISTILL_INLINE twin row_constant(double x) {
        const Pack of_both = Pack::row_constant(x);
        return {of_both, of_both};
    }

#define DISTILL_TWIN(Result, function, parameters, of_first, of_second) \
    friend DISTILL_INLINE Result function parameters { return {of_first, of_second}; }
#define DISTILL_TWIN_OF_1(function) DISTILL_TWIN(twin, function, (const twin& a), function(a.first), function(a.second))
#define DISTILL_TWIN_OF_2(function) \
    DISTILL_TWIN(twin, function, (const twin& a, const twin& b), function(a.first, b.first), function(a.second, b.second))
#define DISTILL_TWIN_OPERATOR(Result, symbol) \
    DISTILL_TWIN(Result, operator symbol, (const twin& a, const twin& b), a.first symbol b.first, a.second symbol b.second)
    DISTILL_TWIN_OPERATOR(twin, +)
    DISTILL_TWIN_OPERATOR(twin, -)
    DISTILL_TWIN_OPERATOR(twin, *)
    DISTILL_TWIN_OPERATOR(twin, /)
    DISTILL_TWIN_OPERATOR(mask_type, <)
    DISTILL_TWIN_OPERATOR(mask_type, >)
    DISTILL_TWIN_OPERATOR(mask_type, <=)
    DISTILL_TWIN_OPERATOR(mask_type, >=)
    DISTILL_TWIN(twin, operator-, (const twin& a), -a.first, -a.second)
    DISTILL_TWIN_OF_1(abs)
    DISTILL_TWIN_OF_1(exp)
    DISTILL_TWIN_OF_1(exp2)
    DISTILL_TWIN_OF_1(expm1)
    DISTILL_TWIN_OF_1(log)
    DISTILL_TWIN_OF_1(log1p)
    DISTILL_TWIN_OF_1(sqrt)
    DISTILL_TWIN_OF_1(in_this_order)
    DISTILL_TWIN_OF_2(min)
    DISTILL_TWIN_OF_2(max)
    DISTILL_TWIN_OF_2(at_least)
    DISTILL_TWIN_OF_2(hold_magnitude)
    DISTILL_TWIN_OF_2(larger_magnitude)
    DISTILL_TWIN(mask_type, is_nan, (const twin& a), is_nan(a.first), is_nan(a.second))
    DISTILL_TWIN(twin, fma, (const twin& a, const twin& b, const twin& c), fma(a.first, b.first, c.first),
                 fma(a.second, b.second, c.second))
    DISTILL_TWIN(twin, select, (const mask_type& m, const twin& a, const twin& b), select(m.first, a.first, b.first),
                 select(m.second, a.second, b.second))
#undef DISTILL_TWIN_OPERATOR
#undef DISTILL_TWIN_OF_2
#undef DISTILL_TWIN_OF_1
#undef DISTILL_TWIN
};

}  // namespace simd

template <class Pack, bool HasFactor>
class kernel::scaled_exponential<simd::twin<Pack>, HasFactor> {
public:
    scaled_exponential() = default;
    DISTILL_INLINE explicit scaled_exponential(double scale, double factor = 1.0) : of_pack_(scale, factor) {}

    DISTILL_INLINE simd::twin<Pack> operator()(const simd::twin<Pack>& x) const {
        return {of_pack_(x.first), of_pack_(x.second)};
    }

private:
    scaled_exponential<Pack, HasFactor> of_pack_;
};

}  // namespace distill
