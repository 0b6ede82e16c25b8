// A struct becomes a divergence by deriving from distill::term.
#include <distill/backend/reference.hpp>
#include <distill/loss.hpp>
#include <distill/objective/term.hpp>
#include <distill/reduction/token_mean.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
struct mine : distill::term<mine> {
#else
struct mine {
#endif
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return e.p * e.log_ratio;
    }
};

// expect: distill: the first argument of a loss is an objective
[[maybe_unused]] const distill::loss f{mine{}, distill::reference{}, distill::token_mean{}};
