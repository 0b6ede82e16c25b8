// A number after the temperature might be anything: a soft cap is spelled.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

constexpr distill::forward_kl objective;
constexpr distill::temperature hot{2.0};

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const distill::loss f{objective, distill::reference{}, distill::token_mean{}, hot, distill::soft_cap{30.0}};
#else
// expect: distill: the fifth argument of a loss, after its temperature, is a distill::soft_cap
[[maybe_unused]] const distill::loss f{objective, distill::reference{}, distill::token_mean{}, hot, 30.0};
#endif
