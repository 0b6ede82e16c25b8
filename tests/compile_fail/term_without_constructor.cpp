// A term with parameters and no constructor is an aggregate, whose first element is its base.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
    double strength = 1.0;

    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return T(strength) * e.p * e.log_ratio;
    }
};

#if defined(DISTILL_TEST_GOOD_TWIN)
[[maybe_unused]] const auto objective = 0.5 * mine{{}, 2.0} + mine{};
#else
// expect first: distill: a term without a constructor has its base's braces before its parameters, mine{{}, 0.5}
[[maybe_unused]] const auto objective = 0.5 * mine{2.0};
#endif
