/// CUDA's bfloat16 as storage: it converts, and computes nothing.
#pragma once

#include <bit>
#include <cstdint>

struct __nv_bfloat16 {
    __nv_bfloat16() = default;
    explicit __nv_bfloat16(float value) : bits(rounded(value)) {}
    explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
    unsigned short bits;

private:
    // To nearest, ties to even.
    static unsigned short rounded(float value) {
        const auto all = std::bit_cast<std::uint32_t>(value);
        if ((all & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
        return static_cast<unsigned short>((all + 0x7fffu + (all >> 16 & 1u)) >> 16);
    }
};
typedef __nv_bfloat16 nv_bfloat16;

struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
typedef __nv_bfloat162 nv_bfloat162;

inline float __bfloat162float(__nv_bfloat16 value) { return static_cast<float>(value); }
inline __nv_bfloat16 __float2bfloat16(float value) { return __nv_bfloat16(value); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return __nv_bfloat16(value); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return std::bit_cast<__nv_bfloat16>(bits); }
