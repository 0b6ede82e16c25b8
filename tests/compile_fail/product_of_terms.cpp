// A factor is a number: the product of two sums over the vocabulary is no sum over it.
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/reverse_kl.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const auto objective = 2 * distill::forward_kl{} + distill::reverse_kl{} * 0.5f;
#else
// expect: distill: a term is multiplied by a number, not by a term
[[maybe_unused]] const auto objective = distill::forward_kl{} * distill::reverse_kl{};
#endif
