// What a term's for_row answers is the same term, fitted to the row.
#include <distill/objective/term.hpp>

struct mine : distill::term<mine> {
    static constexpr bool holds_row_constant = true;
    double baseline = 0.0;

    template <class Row>
    constexpr auto for_row(const Row& row) const {
        mine fitted = *this;
        fitted.baseline = row.sum([](const auto& e) { return e.p * e.log_ratio; });
#if defined(DISTILL_TEST_GOOD_TWIN)
        return fitted;
#else
        return fitted.baseline;
#endif
    }
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return e.p * (e.log_ratio - T(baseline));
    }
};

// expect: distill: for_row(const Row&) const answers a term of the same type
[[maybe_unused]] const auto objective = 0.5 * mine{};
