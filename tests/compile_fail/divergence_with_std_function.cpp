// A function of namespace std is not found by argument-dependent lookup and takes no pack.
#include <distill/objective/term.hpp>

#include <cmath>

struct mine : distill::term<mine> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
#if defined(DISTILL_TEST_GOOD_TWIN)
        return sqrt(e.p);
#else
        // expect first: distill: a term calls exp, expm1, log, log1p, sqrt, abs, min, max and select, without std::
        return std::sqrt(e.p);
#endif
    }
};

[[maybe_unused]] const auto objective = 0.5 * mine{};
