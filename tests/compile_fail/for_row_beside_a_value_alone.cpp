// A function of a sum over the row, -log sum min(p, q), written as a value alone: its gradient would be 0.
#include <distill/objective/term.hpp>

#include <cmath>

struct mine : distill::term<mine> {
    double accepted = 1.0;

    template <class Row>
    constexpr mine for_row(const Row& row) const {
        mine fitted = *this;
        fitted.accepted = row.sum([](const auto& e) { return min(e.p, e.q); });
        return fitted;
    }
    template <class T>
    constexpr auto operator()(const distill::entry<T>& e) const {
        const T value = e.q * T(-std::log(accepted));
#if defined(DISTILL_TEST_GOOD_TWIN)
        return distill::summand<T>{value, select(e.p < e.q, e.p, T(0.0)) * T(-1.0 / accepted)};
#else
        return value;
#endif
    }
};

// expect: distill: a term with for_row returns its derivative too, in a summand
[[maybe_unused]] const auto objective = 0.5 * mine{};
