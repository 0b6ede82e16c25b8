// The same, from a pointer and a length.
#include <distill/core/batch.hpp>

#include <cstddef>
#include <cstdint>

#if defined(DISTILL_TEST_GOOD_TWIN)
using id = std::int64_t;
#else
using id = unsigned short;
#endif

distill::batch<float> call(const id* ids, std::size_t count) {
    // expect: distill: a per-row array holds float or double
    return {.tokens = {ids, count}};
}
