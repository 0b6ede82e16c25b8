// What functions of packs make of NaN, for a source file of any level of optimisation.
#pragma once

#include <distill/backend/simd/instruction_set.hpp>
#include <distill/backend/simd/math.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

// In every file's own namespace: no file runs what another has compiled.
namespace {

constexpr std::array<std::uint32_t, 3> nans{0x7fc00000u, 0xffc00000u, 0x7f800001u};

// exp, expm1, log, log1p, exp2 and sqrt of one number, as bits.
struct all_functions {
    const float* x;
    std::array<std::uint32_t, 6>* found;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        using pack = distill::simd::pack<float, Bytes / 4>;
        pack lanes;
        for (int i = 0; i < Bytes / 4; ++i) std::memcpy(reinterpret_cast<char*>(&lanes.lanes) + 4 * i, x, 4);
        const pack results[]{exp(lanes), expm1(lanes), log(lanes), log1p(lanes), exp2(lanes), sqrt(lanes)};
        for (std::size_t f = 0; f < found->size(); ++f) std::memcpy(&(*found)[f], &results[f].lanes, 4);
    }
};

bool is_nan(std::uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; }
bool is_finite(std::uint32_t bits) { return (bits & 0x7f800000u) != 0x7f800000u; }

TEST_CASE("exp, expm1, log and log1p of NaN are finite in float lanes, exp2 and sqrt NaN") {
    distill_test::on_every_set([](distill::instruction_set set) {
        for (const std::uint32_t nan : nans) {
            CAPTURE(nan);
            float x;
            std::memcpy(&x, &nan, sizeof x);
            std::array<std::uint32_t, 6> found{};
            distill::simd::dispatch(set, all_functions{&x, &found});
            for (std::size_t f = 0; f < 4; ++f) {
                CAPTURE(f);
                CHECK(is_finite(found[f]));
            }
            CHECK(is_nan(found[4]));
#if !defined(__FINITE_MATH_ONLY__) || !__FINITE_MATH_ONLY__
            CHECK(is_nan(found[5]));
#endif
        }
    });
}

}  // namespace
