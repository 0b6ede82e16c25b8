// The emulated 16-bit floats convert as Eigen's do.
#include <Eigen/Core>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

TEST_CASE(
    "16-bit floats convert as Eigen's do: to float, and back from every number, from halfway to the next, and from both "
    "sides of it") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const auto raw = static_cast<unsigned short>(bits);
        const float wide = __half2float(__ushort_as_half(raw)), wider = __bfloat162float(__ushort_as_bfloat16(raw));
        const float expected = static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(raw));
        CHECK((wide == expected || (std::isnan(wide) && std::isnan(expected))));
        CHECK((std::isnan(wider) || __bfloat16_as_ushort(__float2bfloat16_rn(wider)) == raw));
        if (!std::isnan(wide)) CHECK(__half_as_ushort(__float2half_rn(wide)) == raw);
        // Half way to the next number of 16 bits, and to both sides of it.
        for (const unsigned low : {0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u}) {
            const float between = std::bit_cast<float>(bits << 16 | low);
            if (std::isnan(between)) continue;
            CHECK(__half_as_ushort(__float2half_rn(between)) ==
                  Eigen::numext::bit_cast<unsigned short>(Eigen::half(between)));
            CHECK(__bfloat16_as_ushort(__float2bfloat16_rn(between)) ==
                  Eigen::numext::bit_cast<unsigned short>(Eigen::bfloat16(between)));
            const float near_half = wide + (std::isfinite(wide) ? std::ldexp(wide, -12) : 0.f);
            CHECK((std::isnan(wide) || __half_as_ushort(__float2half_rn(near_half)) ==
                                           Eigen::numext::bit_cast<unsigned short>(Eigen::half(near_half))));
        }
    }
    CHECK(std::isnan(__half2float(__float2half_rn(std::numeric_limits<float>::quiet_NaN()))));
    CHECK(std::isnan(__bfloat162float(__float2bfloat16_rn(std::numeric_limits<float>::quiet_NaN()))));
}
