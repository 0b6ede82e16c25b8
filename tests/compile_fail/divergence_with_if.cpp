// A number may be many lanes, which do not all take the same branch: a comparison is no condition of an `if`.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
#if defined(DISTILL_TEST_GOOD_TWIN)
        const T larger = select(e.p < e.q, e.q, e.p);
#else
        T larger = e.p;
        // expect: distill: a number may be many lanes
        if (e.p < e.q) larger = e.q;
#endif
        return {.value = larger, .dlogp = larger};
    }
};

[[maybe_unused]] const auto objective = 0.5 * mine{};
