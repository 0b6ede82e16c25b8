// A divergence answers in the number type it was asked in: a double would drop the other lanes.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
    template <class T>
#if defined(DISTILL_TEST_GOOD_TWIN)
    constexpr T operator()(const distill::entry<T>&) const {
#else
    constexpr double operator()(const distill::entry<T>&) const {
#endif
        return 0.0;
}
}
;

// expect: distill: a divergence is called as d(entry<T>) const, for any number type T, and returns summand<T> or T
[[maybe_unused]] const auto objective = 0.5 * mine{};
