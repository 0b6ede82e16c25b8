// A divisor is a number.
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/reverse_kl.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const auto objective = distill::forward_kl{} / 2;
#else
// expect: distill: a term is divided by a number, and nothing is divided by a term
[[maybe_unused]] const auto objective = 2.0 / distill::forward_kl{};
#endif
