/// CUDA's half as storage: it converts, and computes nothing.
#pragma once

#include <bit>
#include <cstdint>

struct __half {
    __half() = default;
    explicit __half(float value) : bits(rounded(value)) {}
    explicit operator float() const {
        const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1fu, fraction = bits & 0x3ffu;
        if (exponent == 0)
            return sign != 0 ? -0x1p-24f * static_cast<float>(fraction) : 0x1p-24f * static_cast<float>(fraction);
        return std::bit_cast<float>(sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | fraction << 13);
    }
    unsigned short bits;

private:
    // To nearest, ties to even.
    static unsigned short rounded(float value) {
        const std::uint32_t all = std::bit_cast<std::uint32_t>(value), magnitude = all & 0x7fffffffu;
        std::uint32_t result;
        if (magnitude > 0x7f800000u) return 0x7fff;
        if (magnitude >= 0x477ff000u)  // 65520 and above
            result = 0x7c00;
        else if (magnitude < 0x38800000u)  // below 2^-14: one half more, and the fraction's last bit is worth 2^-24
            result = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
        else
            result = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
        return static_cast<unsigned short>(result | (all >> 16 & 0x8000u));
    }
};
typedef __half half;

struct alignas(4) __half2 {
    __half x, y;
};
typedef __half2 half2;

inline float __half2float(__half value) { return static_cast<float>(value); }
inline __half __float2half(float value) { return __half(value); }
inline __half __float2half_rn(float value) { return __half(value); }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half __ushort_as_half(unsigned short bits) { return std::bit_cast<__half>(bits); }
