// The element type of a DLPack tensor is known at run time only: the caller spells the one that is expected.
#include <distill/interop/dlpack.hpp>

distill::logits_view<const float> call(const DLTensor& logits) {
#if defined(DISTILL_TEST_GOOD_TWIN)
    return distill::view_of<const float>(logits);
#else
    // expect: distill: a DLPack tensor knows its element type at run time only; spell it
    return distill::view_of(logits);
#endif
}
