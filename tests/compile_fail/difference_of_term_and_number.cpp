// `-` subtracts terms from terms; a constant has no gradient.
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/reverse_kl.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const auto objective = distill::forward_kl{} - 0.5 * distill::reverse_kl{};
#else
// expect: distill: a term is subtracted from a term, a composition or a sum of them
[[maybe_unused]] const auto objective = distill::forward_kl{} - 0.5;
#endif
