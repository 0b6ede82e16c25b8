/// Loads and stores of packs, with conversion from and to every element type.
///
/// 16-bit types are read and written as their bits, whatever the type's own conversions are: half by an instruction where
/// the processor has one, else by integer arithmetic.
#pragma once

#include <distill/backend/simd/halfwords.hpp>
#include <distill/backend/simd/pack.hpp>
#include <distill/backend/simd/vectors.hpp>

#include <distill/core/storage_format.hpp>

#include <cstring>
#include <type_traits>

namespace distill::inline DISTILL_ABI::simd {

template <int Width, class Element>
DISTILL_INLINE pack<float, Width> load_floats(const Element* source) {
    if constexpr (std::is_same_v<Element, float>) {
        return load_lanes<float, Width>(source);
    } else if constexpr (known_format<Element>() == storage_format::bfloat16) {
        return load_bfloat16<Width>(source);
    } else if constexpr (requires { &instructions<float, Width>::load_halves; }) {
        pack<float, Width> p;
        instructions<float, Width>::load_halves(source, p.lanes);
        return p;
    } else {
        return load_half<Width>(source);
    }
}

template <int Width, class Element>
DISTILL_INLINE void store_floats(Element* destination, const pack<float, Width>& p) {
    if constexpr (std::is_same_v<Element, float>) {
        std::memcpy(destination, &p.lanes, sizeof p.lanes);
    } else if constexpr (known_format<Element>() == storage_format::bfloat16) {
        store_bfloat16(destination, p);
    } else if constexpr (requires { &instructions<float, Width>::store_halves; }) {
        const pack<float, Width> largest(65504.0);
        instructions<float, Width>::store_halves(destination, select(is_finite(p), clamp_magnitude(p, largest), p).lanes);
    } else {
        store_half(destination, p);
    }
}

/// Width consecutive elements as Floats.
template <class Float, int Width, class Element>
DISTILL_INLINE pack<Float, Width> load(const Element* source) {
    if constexpr (std::is_same_v<Float, float>) {
        return load_floats<Width>(source);
    } else if constexpr (std::is_same_v<Element, double>) {
        return load_lanes<double, Width>(source);
    } else {
        return pack<double, Width>::from(
            __builtin_convertvector(load_floats<Width>(source).lanes, typename pack<double, Width>::floats));
    }
}

template <class Float, int Width, class Element>
DISTILL_INLINE void store(Element* destination, const pack<Float, Width>& p) {
    if constexpr (std::is_same_v<Element, double>) {
        const auto wide = __builtin_convertvector(p.lanes, typename pack<double, Width>::floats);
        std::memcpy(destination, &wide, sizeof wide);
    } else if constexpr (std::is_same_v<Float, float>) {
        store_floats<Width>(destination, p);
    } else {
        store_floats<Width>(destination,
                            pack<float, Width>::from(__builtin_convertvector(p.lanes, typename pack<float, Width>::floats)));
    }
}

}  // namespace distill::inline DISTILL_ABI::simd
