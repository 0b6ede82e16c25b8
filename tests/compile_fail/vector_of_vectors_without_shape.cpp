// The same where the vectors' sizes are meant to be the shape.
#include <distill/interop/span.hpp>

#include <vector>

auto call(const std::vector<std::vector<float>>& rows, const std::vector<float>& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of(logits, rows.size(), rows[0].size());
#else
    static_cast<void>(logits);
    // expect: distill: a vector of vectors has each row at an address of its own
    return distill::view_of(rows);
#endif
}
