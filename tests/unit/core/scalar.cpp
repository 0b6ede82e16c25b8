#include <distill/core/scalar.hpp>

#include <support/bits.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace {

using number = distill::scalar<double>;
using narrow = distill::scalar<float>;

const double infinity = distill_test::infinite();
const double negative_nan = distill_test::double_of(0xfff8000000000000u);

}  // namespace

TEST_CASE("a scalar computes as its value does") {
    const number a(3.5), b(-1.25);
    CHECK((a + b).value == 2.25);
    CHECK((a - b).value == 4.75);
    CHECK((a * b).value == -4.375);
    CHECK((a / b).value == -2.8);
    CHECK((-a).value == -3.5);
    CHECK(b < a);
    CHECK(a > b);
    CHECK(a <= a);
    CHECK(a >= a);
    CHECK_FALSE(a < a);
    CHECK(select(true, a, b).value == 3.5);
    CHECK(select(false, a, b).value == -1.25);
    CHECK(abs(b).value == 1.25);
    CHECK(min(a, b).value == -1.25);
    CHECK(max(a, b).value == 3.5);
    CHECK(fma(a, b, a).value == -0.875);
    CHECK(number{}.value == 0.0);
    CHECK(narrow(0.1).value == 0.1f);
}

TEST_CASE("a scalar's functions are the standard library's") {
    const number x(0.75);
    CHECK(exp(x).value == doctest::Approx(std::exp(0.75)).epsilon(1e-15));
    CHECK(exp2(x).value == doctest::Approx(std::exp2(0.75)).epsilon(1e-15));
    CHECK(expm1(number(1e-9)).value == doctest::Approx(1.0000000005e-9).epsilon(1e-15));
    CHECK(log(x).value == doctest::Approx(std::log(0.75)).epsilon(1e-15));
    CHECK(log1p(number(1e-9)).value == doctest::Approx(9.999999995e-10).epsilon(1e-15));
    CHECK(sqrt(x).value == doctest::Approx(std::sqrt(0.75)).epsilon(1e-15));
    CHECK(exp(narrow(0.75)).value == doctest::Approx(std::exp(0.75f)).epsilon(1e-7));
}

TEST_CASE("log and log1p are finite where they are minus infinity in mathematics: 0 log 0 is 0") {
    CHECK(log(number(0.0)).value == doctest::Approx(-708.3964).epsilon(1e-6));
    CHECK(log(narrow(0.0)).value == doctest::Approx(-87.33654).epsilon(1e-6));
    CHECK(log1p(number(-1.0)).value == doctest::Approx(-36.7368).epsilon(1e-6));
    CHECK(log1p(narrow(-1.0)).value == doctest::Approx(-16.63553).epsilon(1e-6));
    CHECK((number(0.0) * log(number(0.0))).value == 0.0);
    CHECK(log(number(1e-300)).value == std::log(1e-300));
    CHECK(log1p(number(-0.999999)).value == std::log1p(-0.999999));
}

TEST_CASE("bounds hold infinities and NaN") {
    const number bound(8.0);
    CHECK(at_least(number(-3.0), number(-5.0)).value == -3.0);
    CHECK(at_least(number(-7.0), number(-5.0)).value == -5.0);
    CHECK(at_least(number(-infinity), number(-5.0)).value == -5.0);
    CHECK(at_least(number(2.0), number(-5.0)).value == 2.0);
    CHECK(clamp_magnitude(number(3.0), bound).value == 3.0);
    CHECK(clamp_magnitude(number(-9.0), bound).value == -8.0);
    CHECK(clamp_magnitude(number(infinity), bound).value == 8.0);
    CHECK(clamp_magnitude(number(-infinity), bound).value == -8.0);
    CHECK(abs(clamp_magnitude(number(distill::quiet_nan()), bound)).value == 8.0);
    CHECK(abs(clamp_magnitude(number(negative_nan), bound)).value == 8.0);
}

TEST_CASE("NaN of either sign is found, and is larger than everything") {
    for (const double nan : {distill::quiet_nan(), negative_nan}) {
        CHECK(is_nan(number(nan)));
        CHECK(is_nan(larger_magnitude(number(nan), number(2.0))));
        CHECK(is_nan(larger_magnitude(number(2.0), number(nan))));
        CHECK(is_nan(larger_magnitude(number(infinity), number(nan))));
    }
    narrow single;
    single.value = distill_test::float_of(0xffc00000u);
    CHECK(is_nan(single));
    single.value = distill_test::float_of(0xff800000u);
    CHECK_FALSE(is_nan(single));
    for (const double x : {0.0, -1.0, infinity, -infinity}) CHECK_FALSE(is_nan(number(x)));
    for (const double x : {0.0, -1.0, 1e308}) CHECK(is_finite(number(x)));
    for (const double x : {distill::quiet_nan(), infinity, -infinity}) CHECK_FALSE(is_finite(number(x)));
    CHECK(larger_magnitude(number(3.0), number(-2.0)).value == 3.0);
    CHECK(larger_magnitude(number(3.0), number(-4.0)).value == 4.0);
}
