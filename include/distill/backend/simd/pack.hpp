/// A SIMD number: several floats or doubles in one vector register.
///
/// Written with the vector types that g++ and clang share, so that one text serves every instruction set: the functions
/// have no target of their own and take the one of the loop they are inlined into (dispatch.hpp). Where a processor has one
/// instruction for several of theirs, it stands in the processor's own header (processor.hpp).
///
/// Nothing relies on NaN, infinity or the order of additions, so -ffast-math changes no contract.
#pragma once

#include <distill/backend/simd/processor.hpp>
#include <distill/backend/simd/vectors.hpp>

#include <distill/core/config.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::simd {

/// One truth value per lane: all bits set, or none.
template <class Float, int Width>
struct mask {
    typename vectors<Float, Width>::integers lanes{};

    mask() = default;
    DISTILL_INLINE mask(const mask& other) : lanes(other.lanes) {}
    DISTILL_INLINE mask& operator=(const mask& other) {
        lanes = other.lanes;
        return *this;
    }
    static DISTILL_INLINE mask from(const typename vectors<Float, Width>::integers& v) {
        mask m;
        m.lanes = v;
        return m;
    }
};

/// Width lanes of Float. The copy constructor is user-provided so that packs, and structs of packs, are passed by reference
/// under every instruction set: a function that is not inlined is slow, never wrong.
template <class Float, int Width>
struct pack {
    using floats = typename vectors<Float, Width>::floats;
    using integers = typename vectors<Float, Width>::integers;
    using naturals = typename vectors<Float, Width>::naturals;
    using mask_type = mask<Float, Width>;
    using processor = instructions<Float, Width>;

    floats lanes{};

    pack() = default;
    DISTILL_INLINE pack(double x) : lanes(static_cast<Float>(x) - floats{}) {}
    DISTILL_INLINE pack(const pack& other) : lanes(other.lanes) {}
    DISTILL_INLINE pack& operator=(const pack& other) {
        lanes = other.lanes;
        return *this;
    }
    /// See row/row_constant.hpp: g++ makes a vector of a number that it does not know lane by lane.
    static DISTILL_INLINE pack row_constant(double x) {
        if constexpr (requires { &processor::broadcast; }) {
            pack p;
            processor::broadcast(static_cast<Float>(x), p.lanes);
            return p;
        } else {
            return pack(x);
        }
    }
    static DISTILL_INLINE pack from(const floats& v) {
        pack p;
        p.lanes = v;
        return p;
    }
    template <class Bits>
    static DISTILL_INLINE pack from_bits(const Bits& v) {
        pack p;
        std::memcpy(&p.lanes, &v, sizeof p.lanes);
        return p;
    }
    template <class Bits>
    DISTILL_INLINE void bits(Bits& v) const {
        std::memcpy(&v, &lanes, sizeof lanes);
    }

    friend DISTILL_INLINE pack operator+(const pack& a, const pack& b) { return from(a.lanes + b.lanes); }
    friend DISTILL_INLINE pack operator-(const pack& a, const pack& b) { return from(a.lanes - b.lanes); }
    friend DISTILL_INLINE pack operator*(const pack& a, const pack& b) { return from(a.lanes * b.lanes); }
    friend DISTILL_INLINE pack operator/(const pack& a, const pack& b) { return from(a.lanes / b.lanes); }
    friend DISTILL_INLINE pack operator-(const pack& a) { return from(-a.lanes); }

    friend DISTILL_INLINE mask_type operator<(const pack& a, const pack& b) { return mask_type::from(a.lanes < b.lanes); }
    friend DISTILL_INLINE mask_type operator>(const pack& a, const pack& b) { return mask_type::from(a.lanes > b.lanes); }
    friend DISTILL_INLINE mask_type operator<=(const pack& a, const pack& b) { return mask_type::from(a.lanes <= b.lanes); }
    friend DISTILL_INLINE mask_type operator>=(const pack& a, const pack& b) { return mask_type::from(a.lanes >= b.lanes); }
    friend DISTILL_INLINE pack select(const mask_type& m, const pack& a, const pack& b) {
        return from(m.lanes ? a.lanes : b.lanes);
    }

    friend DISTILL_INLINE pack min(const pack& a, const pack& b) {
        if (b.is_known() && !b.is_negative()) return at_most(a, b);
        return from(b.lanes < a.lanes ? b.lanes : a.lanes);
    }
    friend DISTILL_INLINE pack max(const pack& a, const pack& b) {
        if (b.is_known()) return b.is_negative() ? at_least(a, b) : at_least_positive(a, b);
        return from(a.lanes < b.lanes ? b.lanes : a.lanes);
    }
    friend DISTILL_INLINE pack abs(const pack& a) {
        naturals v;
        a.bits(v);
        return from_bits(v & magnitude_bits);
    }
    /// a itself, as far as -ffast-math may see: what is computed from it is not rearranged with what it was computed from.
    friend DISTILL_INLINE pack fence(const pack& a) {
        floats fenced = a.lanes;  // not in a pack, which g++ then takes apart
        fence_lanes(fenced);
        return from(fenced);
    }
    /// a * b + c, fused where the instruction set can.
    friend DISTILL_INLINE pack fma(const pack& a, const pack& b, const pack& c) { return from(a.lanes * b.lanes + c.lanes); }

    // Bounds by integer comparison of the bits, which orders floats of one sign: one instruction, where g++ makes a
    // comparison and a blend of a bound that it knows, and no assumption about NaN or infinity. min and max take them where
    // the bound is a constant.

    /// max(a, bound) for a bound below zero; -infinity becomes the bound.
    friend DISTILL_INLINE pack at_least(const pack& a, const pack& negative_bound) {
        naturals v, bound;
        a.bits(v);
        negative_bound.bits(bound);
        return from_bits(v < bound ? v : bound);
    }
    /// max(a, bound) for a bound that is not negative.
    friend DISTILL_INLINE pack at_least_positive(const pack& a, const pack& bound_from_zero) {
        integers v, bound;
        a.bits(v);
        bound_from_zero.bits(bound);
        return from_bits(v > bound ? v : bound);
    }
    /// min(a, bound) for a bound that is not negative; infinity becomes the bound.
    friend DISTILL_INLINE pack at_most(const pack& a, const pack& bound_from_zero) {
        integers v, bound;
        a.bits(v);
        bound_from_zero.bits(bound);
        return from_bits(v < bound ? v : bound);
    }
    /// a clamped to [-bound, bound]; infinities and NaN become a bound too.
    friend DISTILL_INLINE pack clamp_magnitude(const pack& a, const pack& positive_bound) {
        if constexpr (requires { &processor::clamp_to; }) {
            pack clamped;
            processor::clamp_to(a.lanes, positive_bound.lanes, clamped.lanes);
            return clamped;
        } else {
            return at_most(at_least(a, -positive_bound), positive_bound);
        }
    }
    /// The larger of a magnitude and |b|, where NaN is larger than everything.
    friend DISTILL_INLINE pack larger_magnitude(const pack& magnitude, const pack& b) {
        naturals u, v;
        magnitude.bits(u);
        b.bits(v);
        v &= magnitude_bits;
        return from_bits(u < v ? v : u);
    }
    /// Neither infinity nor NaN.
    friend DISTILL_INLINE mask_type is_finite(const pack& a) {
        integers v;
        a.magnitude(v);
        return mask_type::from(v < infinity_bits);
    }
    /// NaN of either sign.
    friend DISTILL_INLINE mask_type is_nan(const pack& a) {
        integers v;
        a.magnitude(v);
        return mask_type::from(v > infinity_bits);
    }

private:
    /// A constant, as the compiler finds after inlining. Constants are the same in every lane.
    [[nodiscard]] DISTILL_INLINE bool is_known() const { return __builtin_constant_p(lanes[0]); }
    /// Read from the bits of the first lane: -0.0 is negative.
    [[nodiscard]] DISTILL_INLINE bool is_negative() const {
        integers v;
        bits(v);
        return v[0] < 0;
    }

    using integer = typename vectors<Float, Width>::integer;
    using natural = std::make_unsigned_t<integer>;

    /// The bits without the sign, of which a compiler under -ffast-math concludes nothing (core/number.hpp, bits_of).
    DISTILL_INLINE void magnitude(integers& v) const {
        bits(v);
#if defined(DISTILL_FINITE_MATH)
        integer nothing = 0;
        asm("" : "+r"(nothing));
        v ^= nothing;
#endif
        v &= static_cast<integer>(magnitude_bits);
    }

    static constexpr natural magnitude_bits = static_cast<natural>(-1) >> 1;
    static constexpr integer infinity_bits = static_cast<integer>(sizeof(Float) == 4 ? 0x7f800000LL : 0x7ff0000000000000LL);
};

/// Width consecutive numbers. Not by memcpy, which makes integers of them to clang: it then takes a comparison and a move
/// for every maximum.
template <class Float, int Width>
DISTILL_INLINE pack<Float, Width> load_lanes(const Float* source) {
    typedef Float unaligned __attribute__((vector_size(sizeof(Float) * Width), aligned(alignof(Float)), may_alias));
    pack<Float, Width> p;
    p.lanes = *reinterpret_cast<const unaligned*>(source);
    return p;
}

/// Applies a scalar function lane by lane.
template <class Float, int Width, class Function>
DISTILL_INLINE pack<Float, Width> map(const pack<Float, Width>& a, const Function& function) {
    std::array<Float, Width> lanes;
    std::memcpy(lanes.data(), &a.lanes, sizeof lanes);
    for (Float& lane : lanes) lane = function(lane);
    pack<Float, Width> result;
    std::memcpy(&result.lanes, lanes.data(), sizeof lanes);
    return result;
}

/// The sum of the lanes, in double and in a fixed order.
template <class Float, int Width>
DISTILL_INLINE double horizontal_sum(const pack<Float, Width>& a) {
    double sum = 0.0;
    for (int i = 0; i < Width; ++i) sum += static_cast<double>(a.lanes[i]);
    return sum;
}

template <class Float, int Width>
DISTILL_INLINE double horizontal_max(const pack<Float, Width>& a) {
    Float largest = a.lanes[0];
    for (int i = 1; i < Width; ++i) largest = largest < a.lanes[i] ? a.lanes[i] : largest;
    return static_cast<double>(largest);
}

template <class Float, int Width>
DISTILL_INLINE double horizontal_min(const pack<Float, Width>& a) {
    Float smallest = a.lanes[0];
    for (int i = 1; i < Width; ++i) smallest = a.lanes[i] < smallest ? a.lanes[i] : smallest;
    return static_cast<double>(smallest);
}

template <class Float, int Width>
DISTILL_INLINE bool any(const mask<Float, Width>& m) {
    if constexpr (requires { &instructions<Float, Width>::any_greater; }) {
        return instructions<Float, Width>::any_greater(typename vectors<Float, Width>::integers{}, m.lanes);
    } else {
        typename vectors<Float, Width>::integer found = 0;
        for (int i = 0; i < Width; ++i) found |= m.lanes[i];
        return found != 0;
    }
}

}  // namespace distill::inline DISTILL_ABI::simd

#include <distill/core/macros_of_others.hpp>
