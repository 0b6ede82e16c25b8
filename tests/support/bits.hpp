// Numbers by their bits, of which a compiler under -ffast-math concludes nothing.
#pragma once

#include <bit>
#include <cstdint>

namespace distill_test {

inline float float_of(std::uint32_t bits) {
    const volatile std::uint32_t unknown = bits;
    return std::bit_cast<float>(static_cast<std::uint32_t>(unknown));
}
inline double double_of(std::uint64_t bits) {
    const volatile std::uint64_t unknown = bits;
    return std::bit_cast<double>(static_cast<std::uint64_t>(unknown));
}
// The infinite double; negative: below zero.
inline double infinite(bool negative = false) { return double_of(negative ? 0xfff0000000000000u : 0x7ff0000000000000u); }

// True where programs compiled with -ffast-math take numbers below the smallest normal one for 0.
inline bool flushes_subnormals() {
    const volatile double subnormal = double_of(1), half = 0.5;
    return subnormal / half == 0.0;
}

}  // namespace distill_test
