// The gradient's element type is one of those that logits have.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
using element = double;
#else
using element = int;
#endif

distill::loss_result call(const distill::batch<float>& in, distill::logits_view<element> destination) {
    const distill::loss f{distill::forward_kl{}, distill::reference{}, distill::token_mean{}};
    // expect: distill: the gradient is written as float, double, or a 16-bit floating-point type, not const
    return f(in, destination);
}
