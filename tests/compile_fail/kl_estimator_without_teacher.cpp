// Differentiating k1 leaves nothing of the teacher: such an estimator teaches nothing.
#include <distill/token/kl_estimator.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
constexpr auto descended = distill::kl_estimate::k2;
#else
constexpr auto descended = distill::kl_estimate::k1;
#endif

// expect: the derivative of k1 = log p - log q is the same for every teacher
[[maybe_unused]] const auto objective = 0.5 * distill::kl_estimator<distill::kl_estimate::k1, descended>{};
