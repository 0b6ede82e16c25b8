/// A block of weights in the type that is computed in.
#pragma once

#include <distill/backend/scratch.hpp>
#include <distill/head/matrix_view.hpp>
#include <distill/row/element.hpp>

#include <cstddef>
#include <type_traits>

namespace distill::inline DISTILL_ABI::detail {

/// Rows [first, first + count), columns [left, left + width) of weights, as Real. Weights of that type are read where they
/// are; others are converted, into a row of scratch of the calling thread that is in use for as long as this lives.
template <class Real, class Weight>
class weight_block {
public:
    weight_block(const matrix_view<const Weight>& w, std::ptrdiff_t first, std::ptrdiff_t count, std::ptrdiff_t left,
                 std::ptrdiff_t width)
        : memory_(thread_scratch{}, static_cast<std::size_t>(count * width) * sizeof(Real)),
          view_(static_cast<Real*>(memory_.data()), count, width) {
        auto* out = static_cast<Real*>(memory_.data());
        for (std::ptrdiff_t row = first; row < first + count; ++row, out += width)
            for (std::ptrdiff_t i = 0; i < width; ++i) out[i] = row::from_element<Real>(w.row(row)[left + i]);
    }
    [[nodiscard]] const matrix_view<const Real>& view() const { return view_; }

private:
    scratch_row memory_;
    matrix_view<const Real> view_;
};

template <class Real>
class weight_block<Real, Real> {
public:
    weight_block(const matrix_view<const Real>& w, std::ptrdiff_t first, std::ptrdiff_t count, std::ptrdiff_t left,
                 std::ptrdiff_t width)
        : view_(w.row(first) + left, count, width, w.row_stride) {}
    [[nodiscard]] const matrix_view<const Real>& view() const { return view_; }

private:
    matrix_view<const Real> view_;
};

}  // namespace distill::inline DISTILL_ABI::detail
