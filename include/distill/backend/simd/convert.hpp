/// Loads and stores of packs, with conversion from and to every element type.
///
/// half and bfloat16 are exact on the way in, rounded once to nearest even on the way out, and finite where the value was. They
/// are converted in the integer unit, but for half where there is an instruction.
#pragma once

#include <distill/backend/simd/instruction.hpp>
#include <distill/backend/simd/pack.hpp>

#include <Eigen/Core>

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI::simd {

namespace detail {

template <int Width>
struct halfwords {
    typedef std::uint16_t type __attribute__((vector_size(2 * Width)));
    typedef std::uint32_t words __attribute__((vector_size(4 * Width)));
};

template <int Width>
DISTILL_INLINE pack<float, Width> from_words(const typename halfwords<Width>::words& v) {
    pack<float, Width> p;
    std::memcpy(&p.lanes, &v, sizeof v);
    return p;
}

/// Halfwords in the upper or the lower halves of words, zeros in the others: a shuffle, where g++ takes a conversion apart.
template <int Width, bool Upper>
DISTILL_INLINE void widen(const void* source, typename halfwords<Width>::words& words) {
    typename halfwords<Width>::type narrow;
    std::memcpy(&narrow, source, sizeof narrow);
#if defined(__CUDACC__)  // nvcc drops the dots of a pack among a builtin's arguments
    words = __builtin_convertvector(narrow, typename halfwords<Width>::words) << (Upper ? 16u : 0u);
#else
    [&]<int... I>(std::integer_sequence<int, I...>) DISTILL_INLINE_LAMBDA {
        const auto wide = __builtin_shufflevector(narrow, decltype(narrow){}, (I % 2 == Upper ? I / 2 : Width)...);
        std::memcpy(&words, &wide, sizeof words);
    }
    (std::make_integer_sequence<int, 2 * Width>{});
#endif
}

/// The upper or the lower halves of words.
template <int Width, bool Upper>
DISTILL_INLINE void narrow(const typename halfwords<Width>::words& words, void* destination) {
#if defined(__CUDACC__)
    const auto halves = __builtin_convertvector(words >> (Upper ? 16u : 0u), typename halfwords<Width>::type);
    std::memcpy(destination, &halves, sizeof halves);
#else
    typedef std::uint16_t all __attribute__((vector_size(4 * Width)));
    all wide;
    std::memcpy(&wide, &words, sizeof words);
    [&]<int... I>(std::integer_sequence<int, I...>) DISTILL_INLINE_LAMBDA {
        const auto halves = __builtin_shufflevector(wide, wide, (2 * I + Upper)...);
        std::memcpy(destination, &halves, sizeof halves);
    }
    (std::make_integer_sequence<int, Width>{});
#endif
}

/// True where one of the words is above the bound; both are below 2^31.
template <int Width>
DISTILL_INLINE bool any_above(const typename halfwords<Width>::words& words, std::uint32_t bound) {
    using lanes = vectors<float, Width>;
    const auto signed_bound = static_cast<std::int32_t>(bound) - typename lanes::integers{};
    const auto signed_words = reinterpret_cast<const typename lanes::integers&>(words);
    if constexpr (has_instructions<Width>)
        return any_greater(signed_words, signed_bound);
    else
        return any(mask<float, Width>::from(signed_words > signed_bound));
}

}  // namespace detail

template <int Width>
DISTILL_INLINE pack<float, Width> load_floats(const float* source) {
    return load_lanes<float, Width>(source);
}

template <int Width>
DISTILL_INLINE pack<float, Width> load_floats(const Eigen::bfloat16* source) {
    typename detail::halfwords<Width>::words words;
    detail::widen<Width, true>(source, words);
    return detail::from_words<Width>(words);
}

template <int Width>
DISTILL_INLINE pack<float, Width> load_floats(const Eigen::half* source) {
    if constexpr (has_instructions<Width>) {
        pack<float, Width> p;
        load_halves(source, p.lanes);
        return p;
    } else {
        using words = typename detail::halfwords<Width>::words;
        words w;
        detail::widen<Width, false>(source, w);
        const words magnitude = w & 0x7fffu;
        const words shifted = magnitude << 13;
        const words normal = shifted + (112u << 23);  // exponent bias 15 -> 127
        const words special = shifted | 0x7f800000u;  // infinity, NaN
        words subnormal;                              // mantissa * 2^-24, zero included
        const auto scaled = __builtin_convertvector(magnitude, typename pack<float, Width>::floats) * 0x1p-24f;
        std::memcpy(&subnormal, &scaled, sizeof scaled);
        const words finite = magnitude < 0x0400u ? subnormal : normal;
        return detail::from_words<Width>((magnitude >= 0x7c00u ? special : finite) | ((w & 0x8000u) << 16));
    }
}

template <int Width>
DISTILL_INLINE void store_floats(float* destination, const pack<float, Width>& p) {
    std::memcpy(destination, &p.lanes, sizeof p.lanes);
}

template <int Width>
DISTILL_INLINE void store_floats(Eigen::bfloat16* destination, const pack<float, Width>& p) {
    using words = typename detail::halfwords<Width>::words;
    words w;
    std::memcpy(&w, &p.lanes, sizeof w);
    words result = w + 0x7fffu + ((w >> 16) & 1u);
    const words magnitude = w & 0x7fffffffu;
    if (detail::any_above<Width>(magnitude, 0x7f7f7fffu)) [[unlikely]] {
        const words quiet = w | 0x00400000u;
        const words largest = (w & 0x80000000u) | 0x7f7f0000u;
        const words finite = magnitude >= 0x7f7f8000u ? largest : result;
        const words special = magnitude > 0x7f800000u ? quiet : result;
        result = magnitude < 0x7f800000u ? finite : special;
    }
    detail::narrow<Width, true>(result, destination);
}

template <int Width>
DISTILL_INLINE void store_floats(Eigen::half* destination, const pack<float, Width>& p) {
    if constexpr (has_instructions<Width>) {
        const pack<float, Width> largest(65504.0);
        store_halves(destination, select(is_finite(p), clamp_magnitude(p, largest), p).lanes);
    } else {
        using words = typename detail::halfwords<Width>::words;
        words w;
        std::memcpy(&w, &p.lanes, sizeof w);
        const words magnitude = w & 0x7fffffffu;
        const words sign = (w >> 16) & 0x8000u;
        const words normal = (magnitude - (112u << 23) + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13;
        // Below 2^-14: adding 1/2 puts the half's last place at the float's, and the addition rounds to nearest even.
        words sum;
        const auto shifted = detail::from_words<Width>(magnitude).lanes + 0.5f;
        std::memcpy(&sum, &shifted, sizeof sum);
        const words subnormal = sum - 0x3f000000u;
        const words finite = magnitude < 0x38800000u ? subnormal : normal;
        // Beyond half's range a finite value becomes the largest half; infinity and NaN stay what they are.
        const words infinite = magnitude > 0x7f800000u ? (words{} + 0x7e00u) : (words{} + 0x7c00u);
        const words special = magnitude < 0x7f800000u ? (words{} + 0x7bffu) : infinite;
        detail::narrow<Width, false>((magnitude >= 0x477ff000u ? special : finite) | sign, destination);
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
