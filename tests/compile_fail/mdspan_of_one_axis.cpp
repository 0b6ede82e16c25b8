// Logits have a vocabulary beside their rows: an mdspan of one axis is refused.
#include <distill/interop/mdspan.hpp>

#include <cstddef>

#if defined(DISTILL_TEST_GOOD_TWIN)
constexpr std::size_t axes = 2;
#else
constexpr std::size_t axes = 1;
#endif

struct span {
    using element_type = float;
    static constexpr std::size_t rank() { return axes; }
    int extent(std::size_t axis) const;
    int stride(std::size_t axis) const;
    float* data_handle() const;
};

distill::logits_view<float> call(const span& logits) {
    // expect: distill: an mdspan of logits has rank 2, [rows, vocabulary], or 3, [batch, time, vocabulary]
    return distill::view_of(logits);
}
