// The vocabulary is contiguous: a column-major tensor is refused.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xtensor.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
using tensor = xt::xtensor<float, 2, xt::layout_type::row_major>;
#else
using tensor = xt::xtensor<float, 2, xt::layout_type::column_major>;
#endif

distill::logits_view<const float> call(const tensor& logits) {
    // expect: distill: a column-major tensor has its vocabulary scattered over memory
    return distill::view_of(logits);
}
