// The rows of a view are one stride apart: an mdspan whose layout has no strides is refused.
#include <distill/interop/mdspan.hpp>

#include <cstddef>

struct span {
    using element_type = const float;
#if defined(DISTILL_TEST_GOOD_TWIN)
    static constexpr bool is_always_strided() { return true; }
#else
    static constexpr bool is_always_strided() { return false; }
#endif
    static constexpr std::size_t rank() { return 2; }
    int extent(std::size_t axis) const;
    int stride(std::size_t axis) const;
    const float* data_handle() const;
};

distill::logits_view<const float> call(const span& logits) {
    // expect: distill: the layout of this mdspan has no strides
    return distill::view_of(logits);
}
