// Weights are one number per row: an mdspan of three axes is refused.
#include <distill/interop/mdspan.hpp>

#include <cstddef>

#if defined(DISTILL_TEST_GOOD_TWIN)
constexpr std::size_t axes = 2;
#else
constexpr std::size_t axes = 3;
#endif

struct span {
    using element_type = const double;
    static constexpr std::size_t rank() { return axes; }
    int extent(std::size_t axis) const;
    int stride(std::size_t axis) const;
    const double* data_handle() const;
};

distill::row_values call(const span& weights) {
    // expect: distill: an mdspan of per-row numbers has rank 1, [rows], or 2, [batch, time]
    return distill::values_of(weights);
}
