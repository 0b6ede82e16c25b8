// Token ids are int32 or int64: a narrower id does not hold a vocabulary of 151 936 entries.
#include <distill/core/batch.hpp>

#include <cstdint>
#include <vector>

#if defined(DISTILL_TEST_GOOD_TWIN)
using id = std::int64_t;
#else
using id = unsigned short;
#endif

distill::batch<float> call(const std::vector<id>& ids) {
    // expect: distill: a per-row array holds float or double
    return {.tokens = ids};
}
