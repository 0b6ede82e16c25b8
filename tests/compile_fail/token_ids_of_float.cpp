// Token ids are int32 or int64.
#include <distill/core/batch.hpp>

#include <cstdint>
#include <vector>

#if defined(DISTILL_TEST_GOOD_TWIN)
using id = std::int32_t;
#else
using id = float;
#endif

distill::batch<float> call(const std::vector<id>& ids) {
    // expect: distill: a per-row array holds float or double
    return {.tokens = ids};
}
