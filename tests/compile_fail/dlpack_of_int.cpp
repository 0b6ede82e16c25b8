// Logits are floating-point numbers.
#include <distill/interop/dlpack.hpp>

#if defined(DISTILL_TEST_GOOD_TWIN)
using element = double;
#else
using element = int;
#endif

distill::logits_view<const element> call(const DLTensor& logits) {
    // expect: distill: DLPack's name of this element type is unknown
    return distill::view_of<const element>(logits);
}
