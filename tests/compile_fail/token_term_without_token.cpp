// A token term says which token of the row it looks at.
#include <distill/objective/term.hpp>

struct mine : distill::token_term<mine> {
#if defined(DISTILL_TEST_GOOD_TWIN)
    static constexpr distill::token_source token = distill::token_source::label;
#endif
    template <class T>
    constexpr T operator()(const distill::token_entry<T>& e) const {
        return -e.log_p;
    }
};

// expect: names its token in `static constexpr token_source token`
[[maybe_unused]] const auto objective = 0.5 * mine{};
