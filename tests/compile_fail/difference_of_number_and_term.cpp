// `-` subtracts terms from terms; one minus a term is minus the term.
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/reverse_kl.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const auto objective = -distill::forward_kl{};
#else
// expect: distill: a term is subtracted from a term, a composition or a sum of them
[[maybe_unused]] const auto objective = 1.0 - distill::forward_kl{};
#endif
