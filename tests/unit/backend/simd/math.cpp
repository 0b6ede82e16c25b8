// The stated ranges and largest relative errors of backend/simd/math.hpp, measured against double.
#include <distill/backend/simd/dispatch.hpp>
#include <distill/backend/simd/math.hpp>
#include <support/bits.hpp>
#include <support/random.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace {

enum function { f_exp2, f_exp, f_expm1, f_log, f_log1p, f_sqrt };

template <int Which, class Number>
DISTILL_INLINE Number call(const Number& x) {
    if constexpr (Which == f_exp2) return exp2(x);
    if constexpr (Which == f_exp) return exp(x);
    if constexpr (Which == f_expm1) return expm1(x);
    if constexpr (Which == f_log) return log(x);
    if constexpr (Which == f_log1p) return log1p(x);
    if constexpr (Which == f_sqrt) return sqrt(x);
}

template <int Which, class Float>
struct mapped {
    const Float* source;
    Float* result;
    std::size_t length;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr std::size_t width = static_cast<std::size_t>(Bytes) / sizeof(Float);
        for (std::size_t i = 0; i + width <= length; i += width) {
            distill::simd::pack<Float, static_cast<int>(width)> x;
            std::memcpy(&x.lanes, source + i, sizeof x.lanes);
            const auto y = call<Which>(x);
            std::memcpy(result + i, &y.lanes, sizeof y.lanes);
        }
    }
};

template <int Which, class Float>
std::vector<Float> values(distill::instruction_set set, std::vector<Float> places) {
    const std::size_t length = places.size();
    places.resize((length + 15) / 16 * 16, Float(0.5));
    std::vector<Float> found(places.size());
    distill::simd::dispatch(set, mapped<Which, Float>{places.data(), found.data(), places.size()});
    found.resize(length);
    return found;
}
template <int Which>
float value(distill::instruction_set set, float x) {
    return values<Which, float>(set, {x})[0];
}

constexpr std::size_t samples = 60000;

// Evenly spread, evenly spread in magnitude, and the ends.
std::vector<float> between(float low, float high) {
    auto random = distill_test::engine("simd math");
    std::vector<float> places{low, high};
    std::uniform_real_distribution<float> even(low, high);
    for (std::size_t i = 0; i < samples; ++i) places.push_back(even(random));
    std::uniform_real_distribution<float> exponent(-126.0f, 127.0f);
    for (std::size_t i = 0; i < samples; ++i)
        for (const float sign : {1.0f, -1.0f}) {
            const float x = sign * std::exp2(exponent(random));
            if (x >= low && x <= high) places.push_back(x);
        }
    return places;
}

template <int Which, class Expected>
void check(float low, float high, double stated, const Expected& expected) {
    const std::vector<float> places = between(low, high);
    distill_test::on_every_set([&](distill::instruction_set set) {
        const auto found = values<Which>(set, places);
        double worst = 0.0;
        float worst_place = 0.0f;
        for (std::size_t i = 0; i < places.size(); ++i) {
            const double exact = expected(static_cast<double>(places[i]));
            const double error = exact == 0.0 ? std::abs(static_cast<double>(found[i]))
                                              : std::abs(static_cast<double>(found[i]) / exact - 1.0);
            if (!(error <= worst)) worst = error, worst_place = places[i];
        }
        CAPTURE(worst_place);
        CHECK(worst <= stated);
    });
}

constexpr float smallest_normal = 1.1754944e-38f;

}  // namespace

TEST_CASE("exp2 keeps NaN of either sign") {
    distill_test::on_every_set([&](distill::instruction_set set) {
        for (const std::uint32_t nan : {0x7fc00000u, 0xffc00000u, 0x7f800001u})
            CHECK((std::bit_cast<std::uint32_t>(value<f_exp2>(set, distill_test::float_of(nan))) & 0x7fffffffu) >
                  0x7f800000u);
    });
}

TEST_CASE("exp2 is within 3e-7 on [-126, 127], exactly 0 below -126.5 and exactly 1 at 0") {
    check<f_exp2>(-126.0f, 127.0f, 3e-7, [](double x) { return std::exp2(x); });
    const float minus_infinity = distill_test::float_of(0xff800000u);
    distill_test::on_every_set([&](distill::instruction_set set) {
        CHECK(value<f_exp2>(set, 0.0f) == 1.0f);
        for (const float x : {-126.51f, -127.0f, -128.0f, -1e4f, -1e38f, minus_infinity})
            CHECK(std::bit_cast<std::uint32_t>(value<f_exp2>(set, x)) == 0u);
    });
}

TEST_CASE("exp is within 3e-7 on [-87, 88], 0 below, held at exp(88) above") {
    check<f_exp>(-87.0f, 88.0f, 3e-7, [](double x) { return std::exp(x); });
    distill_test::on_every_set([](distill::instruction_set set) {
        CHECK(value<f_exp>(set, 0.0f) == 1.0f);
        for (const float x : {-88.0f, -100.0f, -1e30f}) CHECK(value<f_exp>(set, x) < 2e-38f);
        for (const float x : {88.0f, 88.5f, 100.0f, 1e30f})
            CHECK(std::abs(static_cast<double>(value<f_exp>(set, x)) / std::exp(88.0) - 1.0) < 3e-7);
    });
}

TEST_CASE("expm1 is within 4e-7 on [-87, 88], near 0 too") {
    check<f_expm1>(-87.0f, 88.0f, 4e-7, [](double x) { return std::expm1(x); });
    check<f_expm1>(-1e-3f, 1e-3f, 4e-7, [](double x) { return std::expm1(x); });
    distill_test::on_every_set([](distill::instruction_set set) {
        CHECK(value<f_expm1>(set, 0.0f) == 0.0f);
        for (const float x : {-88.0f, -100.0f, -1e30f}) CHECK(value<f_expm1>(set, x) == -1.0f);
        for (const float x : {88.5f, 1e30f})
            CHECK(std::abs(static_cast<double>(value<f_expm1>(set, x)) / std::expm1(88.0) - 1.0) < 4e-7);
    });
}

TEST_CASE("log is within 2e-7 on [1.2e-38, 3e38], near 1 too, and takes what is below for 1.2e-38") {
    check<f_log>(smallest_normal, 3e38f, 2e-7, [](double x) { return std::log(x); });
    check<f_log>(0.5f, 2.0f, 2e-7, [](double x) { return std::log(x); });
    check<f_log>(0.999f, 1.001f, 2e-7, [](double x) { return std::log(x); });
    distill_test::on_every_set([](distill::instruction_set set) {
        CHECK(value<f_log>(set, 1.0f) == 0.0f);
        for (const float x : {0.0f, -1.0f, -1e30f, 1e-42f})
            CHECK(static_cast<double>(value<f_log>(set, x)) == doctest::Approx(-87.3365).epsilon(1e-5));
    });
}

TEST_CASE("log1p is within 3e-7 on (-1, 1e38], near 0 too") {
    check<f_log1p>(std::nextafter(-1.0f, 0.0f), 1.0f, 3e-7, [](double x) { return std::log1p(x); });
    check<f_log1p>(-0.999f, 1e38f, 3e-7, [](double x) { return std::log1p(x); });
    check<f_log1p>(-1e-3f, 1e-3f, 3e-7, [](double x) { return std::log1p(x); });
    distill_test::on_every_set([](distill::instruction_set set) {
        CHECK(value<f_log1p>(set, 0.0f) == 0.0f);
        for (const float x : {-1.0f, -2.0f, -1e30f})
            CHECK(static_cast<double>(value<f_log1p>(set, x)) == doctest::Approx(-16.6355).epsilon(1e-5));
    });
}

TEST_CASE("sqrt is within 2e-7 on [0, 3e38], exactly 0 at 0") {
    check<f_sqrt>(smallest_normal, 3e38f, 2e-7, [](double x) { return std::sqrt(x); });
    distill_test::on_every_set([](distill::instruction_set set) {
        CHECK(value<f_sqrt>(set, 0.0f) == 0.0f);
        for (const float x : {1e-39f, 1e-42f, 1e-45f}) {
            // A processor may be set to take subnormal numbers for 0.
            const double found = static_cast<double>(value<f_sqrt>(set, x));
            CAPTURE(x);
            CHECK((found == 0.0 || std::abs(found / std::sqrt(static_cast<double>(x)) - 1.0) < 2e-7));
        }
    });
}

TEST_CASE("in double the functions are the standard library's") {
    auto random = distill_test::engine("double math");
    std::uniform_real_distribution<double> place(1e-6, 4.0);
    std::vector<double> places(200);
    for (double& x : places) x = place(random);
    distill_test::on_every_set([&](distill::instruction_set set) {
        const auto check_double = [&](const std::vector<double>& found, double (*expected)(double)) {
            double worst = 0.0;
            for (std::size_t i = 0; i < places.size(); ++i)
                worst = std::max(worst, std::abs(found[i] - expected(places[i])) / std::abs(expected(places[i])));
            CHECK(worst < 1e-14);
        };
        check_double(values<f_exp2>(set, places), [](double x) { return std::exp2(x); });
        check_double(values<f_exp>(set, places), [](double x) { return std::exp(x); });
        check_double(values<f_expm1>(set, places), [](double x) { return std::expm1(x); });
        check_double(values<f_log>(set, places), [](double x) { return std::log(x); });
        check_double(values<f_log1p>(set, places), [](double x) { return std::log1p(x); });
        check_double(values<f_sqrt>(set, places), [](double x) { return std::sqrt(x); });
    });
}
