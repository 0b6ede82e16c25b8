// Logits are floating-point numbers.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
using element = float;
#else
using element = int;
#endif

distill::loss_result call(const distill::batch<element>& in) {
    const distill::loss f{distill::forward_kl{}, distill::reference{}, distill::token_mean{}};
    // expect: distill: logits are stored as float, double, or a 16-bit floating-point type
    return f(in);
}
