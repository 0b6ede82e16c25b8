/// Random numbers that depend on a key and a counter alone.
#pragma once

#include <distill/core/abi.hpp>

#include <array>
#include <cstdint>

namespace distill::inline DISTILL_ABI {

/// Philox 4x32-10: four 32-bit words per counter and key. No state: what is drawn for a row depends on nothing but the row,
/// so threads and the order of work cannot change it. Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers:
/// as easy as 1, 2, 3".
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                              std::array<std::uint32_t, 2> key) noexcept {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t first = std::uint64_t{0xD2511F53u} * counter[0];
        const std::uint64_t second = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
                   static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return counter;
}

/// A uniform number in [0, 1) with 53 random bits, for a seed and an index.
constexpr double uniform_at(std::uint64_t seed, std::uint64_t index) noexcept {
    const auto words = philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, 0},
                              {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    const std::uint64_t bits = (std::uint64_t{words[0]} << 32 | words[1]) >> 11;
    return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace distill::inline DISTILL_ABI
