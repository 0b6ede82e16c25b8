// A gradient's destination says its shape.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

distill::loss_result call(const distill::batch<float>& in, float* dz) {
    const distill::loss f{distill::forward_kl{}, distill::reference{}, distill::token_mean{}};
#if defined(DISTILL_TEST_GOOD_TWIN)
    return f(in, {dz, in.student.rows, in.student.vocabulary});
#else
    // expect: distill: the gradient's destination is a distill::logits_view or a distill::gradient, or {pointer, rows, vocabulary}
    return f(in, dz);
#endif
}
