// Functors are const and stateless between calls: a call operator that is not const is refused.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
    template <class T>
#if defined(DISTILL_TEST_GOOD_TWIN)
    constexpr T operator()(const distill::entry<T>& e) const {
#else
    constexpr T operator()(const distill::entry<T>& e) {
#endif
        return e.p * e.log_ratio;
}
}
;

// expect: distill: a divergence is called as d(entry<T>) const, for any number type T
[[maybe_unused]] const auto objective = 0.5 * mine{};
