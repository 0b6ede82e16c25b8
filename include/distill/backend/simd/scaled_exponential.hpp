/// Exponentials of a row, where two registers hold a table that one instruction looks up: on AVX-512.
#pragma once

#include <distill/backend/simd/pack.hpp>

#include <distill/row/scaled_exponential.hpp>

#include <array>

namespace distill::inline DISTILL_ABI {
namespace simd {
namespace detail {

/// 1.5 * 2^18: added to y, it leaves the nearest multiple of 1/32, whose last five bits are those of the sum.
inline constexpr double rounding_shift_of_32nds = 393216.0;

/// 2^(i / 32).
alignas(64) inline constexpr auto powers_of_two = [] {
    std::array<float, 32> powers{};
    double power = 1.0;
    for (float& p : powers) {
        p = static_cast<float>(power);
        power *= 1.0218971486541166;
    }
    return powers;
}();

}  // namespace detail

/// Powers of two come from a table.
template <class Float, int Width>
concept has_table_of_powers = requires {
    &instructions<Float, Width>::look_up;
    &instructions<Float, Width>::scale;
};

}  // namespace simd

/// y = scale x is n + fraction, n a multiple of 1/32: 2^y = 2^floor(n) 2^(n - floor(n)) 2^fraction, the second times the
/// factor from a table.
template <class Float, int Width, bool HasFactor>
    requires simd::has_table_of_powers<Float, Width>
class row::scaled_exponential<simd::pack<Float, Width>, HasFactor> {
    using number = simd::pack<Float, Width>;

public:
    scaled_exponential() = default;
    DISTILL_INLINE explicit scaled_exponential(double scale, double factor = 1.0)
        : scale_(number::row_constant(scale)),
          low_(simd::load_lanes<Float, Width>(simd::detail::powers_of_two.data()) * number::row_constant(factor)),
          high_(simd::load_lanes<Float, Width>(simd::detail::powers_of_two.data() + Width) * number::row_constant(factor)) {}

    DISTILL_INLINE number operator()(const number& x) const {
        const number shift(simd::detail::rounding_shift_of_32nds);
        const number shifted = fence(fma(x, scale_, shift));
        const number n = fence(shifted - shift), fraction = fma(x, scale_, -n);
        number root, power;
        number::processor::look_up(shifted.lanes, low_.lanes, high_.lanes, root.lanes);
        const number mantissa = fma(root * fraction, fma(fraction, number(0.24022651), number(0.69315733)), root);
        number::processor::scale(mantissa.lanes, n.lanes, number(-126.0).lanes, power.lanes);
        return power;
    }

private:
    number scale_{}, low_{}, high_{};
};

}  // namespace distill::inline DISTILL_ABI
