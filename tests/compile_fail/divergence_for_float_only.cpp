// A divergence runs on scalars, SIMD packs and dual numbers: one that is written for float alone is refused.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
#if defined(DISTILL_TEST_GOOD_TWIN)
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        return {.value = e.p, .dlogp = e.p};
    }
#else
    constexpr distill::summand<float> operator()(const distill::entry<float>& e) const {
        return {.value = e.p, .dlogp = e.p};
    }
#endif
};

// expect: distill: a divergence is called as d(entry<T>) const, for any number type T
[[maybe_unused]] const auto objective = 0.5 * mine{};
