// A normaliser's term is written for any number type.
#include <distill/objective/term.hpp>

struct mine : distill::normalizer_term<mine> {
#if defined(DISTILL_TEST_GOOD_TWIN)
    template <class T>
    constexpr T operator()(const T& log_normalizer) const {
#else
    constexpr float operator()(float log_normalizer) const {
#endif
        return log_normalizer * log_normalizer;
}
}
;

// expect: distill: a normaliser's term is called as t(T) const, for any number type T
[[maybe_unused]] const auto objective = 0.5 * mine{};
