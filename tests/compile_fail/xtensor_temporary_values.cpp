// A per-row array borrows: a temporary tensor ends before the array does.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>

using tensor = xt::xtensor<float, 1>;

distill::row_values call(const tensor& weights) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::values_of(weights);
#else
    // expect: distill: a temporary tensor owns its memory and ends before the array does
    return distill::values_of(tensor(weights));
#endif
}
