// The exponentials of a row on every instruction set, for scales and factors as rows have them.
#include <distill/backend/simd/dispatch.hpp>
#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack_pair.hpp>
#include <support/bits.hpp>
#include <support/random.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

template <bool HasFactor>
struct exponentials {
    const std::vector<float>& places;
    double scale, factor;
    std::vector<float>& found;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr int width = Bytes / 4;
        using half = distill::simd::pack<float, width>;
        const distill::row::scaled_exponential<distill::simd::pack_pair<half>, HasFactor> exponential(scale, factor);
        for (std::size_t i = 0; i + 2 * width <= places.size(); i += 2 * width) {
            const auto y = exponential({distill::simd::load_lanes<float, width>(places.data() + i),
                                        distill::simd::load_lanes<float, width>(places.data() + i + width)});
            std::memcpy(found.data() + i, &y.first.lanes, sizeof y.first.lanes);
            std::memcpy(found.data() + i + width, &y.second.lanes, sizeof y.second.lanes);
        }
    }
};

template <bool HasFactor>
std::vector<float> at(distill::instruction_set set, std::vector<float> places, double scale, double factor) {
    const std::size_t length = places.size();
    places.resize((length + 31) / 32 * 32);
    std::vector<float> found(places.size());
    distill::simd::dispatch(set, exponentials<HasFactor>{places, scale, factor, found});
    found.resize(length);
    return found;
}

constexpr double log2_e = 1.4426950408889634;

}  // namespace

TEST_CASE("2^(scale x) factor is within 5e-7 where it is not below 2^-100, and the factor itself at 0") {
    auto random = distill_test::engine("scaled exponential");
    for (const double inverse_temperature : {1.0, 0.3, 7.0})
        for (const double factor : {1.0, 0.37, 6.6e-6}) {
            CAPTURE(inverse_temperature);
            CAPTURE(factor);
            const double scale = inverse_temperature * log2_e, rounded = static_cast<float>(scale);
            std::uniform_real_distribution<double> exponent(-100.0, 0.0);
            std::vector<float> places{0.0f};
            for (int i = 0; i < 20000; ++i) places.push_back(static_cast<float>(exponent(random) / rounded));
            distill_test::on_every_set([&](distill::instruction_set set) {
                const auto scaled = at<true>(set, places, scale, factor), alone = at<false>(set, places, scale, 1.0);
                CHECK(scaled[0] == static_cast<float>(factor));
                CHECK(alone[0] == 1.0f);
                double worst = 0.0;
                for (std::size_t i = 0; i < places.size(); ++i) {
                    // A product that is rounded is off by its own size times 2^-24.
                    const double y = rounded * static_cast<double>(places[i]), exact = std::exp2(y);
                    const double allowed = 5e-7 + std::abs(y) * 0x1p-24;
                    worst = std::max({worst, std::abs(scaled[i] / (exact * factor) - 1.0) / allowed,
                                      std::abs(alone[i] / exact - 1.0) / allowed});
                }
                CHECK(worst <= 1.0);
            });
        }
}

TEST_CASE("a masked logit has probability 0 exactly, and NaN stays NaN") {
    const float minus_infinity = distill_test::float_of(0xff800000u);
    distill_test::on_every_set([&](distill::instruction_set set) {
        for (const float found : at<true>(set, {minus_infinity, -1e30f, -200.0f}, log2_e, 0.25))
            CHECK(std::bit_cast<std::uint32_t>(found) == 0u);
        const std::vector<float> nans{distill_test::float_of(0x7fc00000u), distill_test::float_of(0xffc00000u)};
        for (const float found : at<true>(set, nans, log2_e, 0.25))
            CHECK((std::bit_cast<std::uint32_t>(found) & 0x7fffffffu) > 0x7f800000u);
        for (const float found : at<false>(set, nans, log2_e, 1.0))
            CHECK((std::bit_cast<std::uint32_t>(found) & 0x7fffffffu) > 0x7f800000u);
    });
}
