#include <distill/token/detail/philox.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

using words = std::array<std::uint32_t, 4>;

// The known answers that the authors publish with their library, Random123.
TEST_CASE("philox gives its authors' known answers") {
    CHECK(distill::philox({0, 0, 0, 0}, {0, 0}) == words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
    constexpr std::uint32_t ones = 0xffffffffu;
    CHECK(distill::philox({ones, ones, ones, ones}, {ones, ones}) ==
          words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
    CHECK(distill::philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}) ==
          words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("uniform numbers lie in [0, 1), are even over it, and depend on seed and index") {
    constexpr int draws = 20000, bins = 20;
    std::vector<int> counts(bins);
    double sum = 0.0;
    for (int i = 0; i < draws; ++i) {
        const double u = distill::uniform_at(42, static_cast<std::uint64_t>(i));
        REQUIRE(u >= 0.0);
        REQUIRE(u < 1.0);
        ++counts[static_cast<std::size_t>(u * bins)];
        sum += u;
    }
    // Five deviations of a mean of uniform numbers, and of a bin's count.
    CHECK(std::abs(sum / draws - 0.5) < 5.0 / std::sqrt(12.0 * draws));
    for (const int count : counts) CHECK(std::abs(count - draws / bins) < 5.0 * std::sqrt(draws / bins));
    CHECK(distill::uniform_at(1, 5) != distill::uniform_at(2, 5));
    CHECK(distill::uniform_at(1, 5) != distill::uniform_at(1, 6));
    CHECK(distill::uniform_at(1, std::uint64_t{1} << 40) != distill::uniform_at(1, 0));
}
