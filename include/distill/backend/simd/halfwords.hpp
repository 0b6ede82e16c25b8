/// half and bfloat16 by integer arithmetic: exact on the way in, rounded once to nearest even on the way out, and finite
/// where the value was.
#pragma once

#include <distill/backend/simd/pack.hpp>
#include <distill/backend/simd/vectors.hpp>

#include <cstdint>
#include <cstring>
#include <utility>

namespace distill::inline DISTILL_ABI::simd {

// nvcc drops the dots of a pack among a builtin's arguments. Where the upper half of a word comes first, the shuffles are
// others.
#if defined(__CUDACC__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define DISTILL_NO_SHUFFLE 1
#else
#define DISTILL_NO_SHUFFLE 0
#endif

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
#if DISTILL_NO_SHUFFLE
    words = __builtin_convertvector(narrow, typename halfwords<Width>::words) << (Upper ? 16u : 0u);
#else
    [&]<int... Index>(std::integer_sequence<int, Index...>) DISTILL_INLINE_LAMBDA {
        const auto wide = __builtin_shufflevector(narrow, decltype(narrow){}, (Index % 2 == Upper ? Index / 2 : Width)...);
        std::memcpy(&words, &wide, sizeof words);
    }(std::make_integer_sequence<int, 2 * Width>{});
#endif
}

/// The upper or the lower halves of words.
template <int Width, bool Upper>
DISTILL_INLINE void narrow(const typename halfwords<Width>::words& words, void* destination) {
#if DISTILL_NO_SHUFFLE
    const auto halves = __builtin_convertvector(words >> (Upper ? 16u : 0u), typename halfwords<Width>::type);
    std::memcpy(destination, &halves, sizeof halves);
#else
    typedef std::uint16_t all __attribute__((vector_size(4 * Width)));
    all wide;
    std::memcpy(&wide, &words, sizeof words);
    [&]<int... Index>(std::integer_sequence<int, Index...>) DISTILL_INLINE_LAMBDA {
        const auto halves = __builtin_shufflevector(wide, wide, (2 * Index + Upper)...);
        std::memcpy(destination, &halves, sizeof halves);
    }(std::make_integer_sequence<int, Width>{});
#endif
}

/// True where one of the words is above the bound; both are below 2^31.
template <int Width>
DISTILL_INLINE bool any_above(const typename halfwords<Width>::words& words, std::uint32_t bound) {
    using lanes = vectors<float, Width>;
    const auto signed_bound = static_cast<std::int32_t>(bound) - typename lanes::integers{};
    const auto signed_words = reinterpret_cast<const typename lanes::integers&>(words);
    if constexpr (requires { &instructions<float, Width>::any_greater; })
        return instructions<float, Width>::any_greater(signed_words, signed_bound);
    else
        return any(mask<float, Width>::from(signed_words > signed_bound));
}

#undef DISTILL_NO_SHUFFLE

template <int Width>
DISTILL_INLINE pack<float, Width> load_bfloat16(const void* source) {
    typename halfwords<Width>::words words;
    widen<Width, true>(source, words);
    return from_words<Width>(words);
}

template <int Width>
DISTILL_INLINE pack<float, Width> load_half(const void* source) {
    using words = typename halfwords<Width>::words;
    words w;
    widen<Width, false>(source, w);
    const words magnitude = w & 0x7fffu;
    const words shifted = magnitude << 13;
    const words normal = shifted + (112u << 23);  // exponent bias 15 -> 127
    const words special = shifted | 0x7f800000u;  // infinity, NaN
    words subnormal;                              // mantissa * 2^-24, zero included
    const auto scaled = __builtin_convertvector(magnitude, typename pack<float, Width>::floats) * 0x1p-24f;
    std::memcpy(&subnormal, &scaled, sizeof scaled);
    const words finite = magnitude < 0x0400u ? subnormal : normal;
    return from_words<Width>((magnitude >= 0x7c00u ? special : finite) | ((w & 0x8000u) << 16));
}

template <int Width>
DISTILL_INLINE void store_bfloat16(void* destination, const pack<float, Width>& p) {
    using words = typename halfwords<Width>::words;
    words w;
    std::memcpy(&w, &p.lanes, sizeof w);
    words result = w + 0x7fffu + ((w >> 16) & 1u);
    const words magnitude = w & 0x7fffffffu;
    if (any_above<Width>(magnitude, 0x7f7f7fffu)) [[unlikely]] {
        const words quiet = w | 0x00400000u;
        const words largest = (w & 0x80000000u) | 0x7f7f0000u;
        const words finite = magnitude >= 0x7f7f8000u ? largest : result;
        const words special = magnitude > 0x7f800000u ? quiet : result;
        result = magnitude < 0x7f800000u ? finite : special;
    }
    narrow<Width, true>(result, destination);
}

template <int Width>
DISTILL_INLINE void store_half(void* destination, const pack<float, Width>& p) {
    using words = typename halfwords<Width>::words;
    words w;
    std::memcpy(&w, &p.lanes, sizeof w);
    const words magnitude = w & 0x7fffffffu;
    const words sign = (w >> 16) & 0x8000u;
    const words normal = (magnitude - (112u << 23) + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13;
    // Below 2^-14: adding 1/2 puts the half's last place at the float's, and the addition rounds to nearest even.
    words sum;
    const auto shifted = from_words<Width>(magnitude).lanes + 0.5f;
    std::memcpy(&sum, &shifted, sizeof sum);
    const words subnormal = sum - 0x3f000000u;
    const words finite = magnitude < 0x38800000u ? subnormal : normal;
    // Beyond half's range a finite value becomes the largest half; infinity and NaN stay what they are.
    const words infinite = magnitude > 0x7f800000u ? (words{} + 0x7e00u) : (words{} + 0x7c00u);
    const words special = magnitude < 0x7f800000u ? (words{} + 0x7bffu) : infinite;
    narrow<Width, false>((magnitude >= 0x477ff000u ? special : finite) | sign, destination);
}

}  // namespace distill::inline DISTILL_ABI::simd
