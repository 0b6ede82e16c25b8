// A backend runs one generic row program: it has `run(call) const`.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

struct mine {
#if defined(DISTILL_TEST_GOOD_TWIN)
    template <class Call>
    distill::call::row_sums run(const Call&) const {
        return {};
    }
#endif
};

distill::loss_result call(const distill::batch<float>& in) {
    // expect: distill: the second argument of a loss is a backend
    const distill::loss f{distill::forward_kl{}, mine{}, distill::token_mean{}};
    return f(in);
}
