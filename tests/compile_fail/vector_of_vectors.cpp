// The rows of a vector of vectors are anywhere in memory.
#include <distill/interop/span.hpp>

#include <vector>

#if defined(DISTILL_TEST_GOOD_TWIN)
using element = float;
#else
using element = std::vector<float>;
#endif

auto call(const std::vector<element>& logits) {
    // expect: distill: a vector of vectors has each row at an address of its own
    return distill::view_of(logits, 2, 3);
}
