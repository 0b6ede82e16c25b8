// A function of namespace std is not found by argument-dependent lookup and takes no pack.
#include <distill/objective/term.hpp>

#include <cmath>

struct mine : distill::term<mine> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
#if defined(DISTILL_TEST_GOOD_TWIN)
        return sqrt(e.p);
#else
        // expect: a_term_uses_what_distill_number_lists_and_nothing_else
        return std::sqrt(e.p);
#endif
    }
};

[[maybe_unused]] const auto objective = 0.5 * mine{};
