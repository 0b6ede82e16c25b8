// An objective is a term, a composition, or a sum of them.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const distill::loss f{2 * distill::forward_kl{}, distill::reference{}, distill::token_mean{}};
#else
// expect: distill: the first argument of a loss is an objective
[[maybe_unused]] const distill::loss f{2, distill::reference{}, distill::token_mean{}};
#endif
