// The order is objective, backend, reduction.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const distill::loss f{distill::forward_kl{}, distill::reference{}, distill::token_mean{}};
#else
// expect: distill: the second argument of a loss is a backend
[[maybe_unused]] const distill::loss f{distill::forward_kl{}, distill::token_mean{}, distill::reference{}};
#endif
