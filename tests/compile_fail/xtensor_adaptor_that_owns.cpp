// An adaptor that took a vector over has its memory, and ends with it.
#include <distill/interop/xtensor.hpp>

#include <xtensor/xadapt.hpp>

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

auto call(std::vector<float>& logits) {
    const std::array<std::size_t, 2> shape{2, 3};
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(xt::adapt(logits, shape));
#else
    // expect: distill: a temporary tensor owns its memory and ends before the view does
    return distill::view_of(xt::adapt(std::move(logits), shape));
#endif
}
