// A number may be many lanes: std::exp takes one double.
#include <distill/distill.hpp>

#include <cmath>

struct mine : distill::term<mine> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
#if defined(DISTILL_TEST_GOOD_TWIN)
        return exp(e.log_p) * e.log_ratio;
#else
        // expect first: distill: a term calls exp, expm1, log, log1p, sqrt, abs, min, max and select, without std::
        return std::exp(e.log_p) * e.log_ratio;
#endif
    }
};

double call(const distill::batch<float>& in) {
    return distill::loss{mine{}, distill::eigen{}, distill::token_mean{}}(in).value;
}
