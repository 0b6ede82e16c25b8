// The condition operator and the logical operators convert to bool as `if` does.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
#if defined(DISTILL_TEST_GOOD_TWIN)
        return select(e.p < e.q, e.q, e.p);
#else
        // expect: distill: a number may be many lanes
        return e.p < e.q ? e.q : e.p;
#endif
    }
};

[[maybe_unused]] const auto objective = 0.5 * mine{};
