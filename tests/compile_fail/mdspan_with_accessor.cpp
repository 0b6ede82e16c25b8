// A view reads memory: an mdspan whose accessor computes its elements is refused.
#include <distill/interop/mdspan.hpp>

#include <cstddef>

struct span {
    using element_type = const float;
#if defined(DISTILL_TEST_GOOD_TWIN)
    using reference = const float&;
#else
    using reference = float;
#endif
    static constexpr std::size_t rank() { return 2; }
    int extent(std::size_t axis) const;
    int stride(std::size_t axis) const;
    const float* data_handle() const;
};

distill::logits_view<const float> call(const span& logits) {
    // expect: distill: the accessor of this mdspan is not the default one
    return distill::view_of(logits);
}
