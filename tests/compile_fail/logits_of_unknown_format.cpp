// A 16-bit type is IEEE half or bfloat16; where it does not say which, somebody else does.
#include <distill/backend/eigen.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

struct own_half {
    unsigned short bits;
    explicit own_half(float value);
    explicit operator float() const;
};

#if defined(DISTILL_TEST_GOOD_TWIN)
template <>
inline constexpr auto distill::storage_format_of<own_half> = distill::storage_format::half;
#endif

distill::loss_result call(const distill::batch<own_half>& in) {
    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    // expect: distill: whether this 16-bit type is IEEE half or bfloat16 is unknown: specialise distill::storage_format_of
    return f(in);
}
