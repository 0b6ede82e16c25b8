#include <distill/core/error.hpp>

#include <support/bits.hpp>

#include <doctest/doctest.h>

#include <clocale>
#include <cstdint>
#include <limits>
#include <string>

using distill::detail::sentence;

TEST_CASE("a number in a message has the digits that tell it from every other one") {
    CHECK(sentence({"temperature is ", 1e-10}) == "temperature is 1e-10");
    CHECK(sentence({0.0}) == "0");
    CHECK(sentence({-1.0}) == "-1");
    CHECK(sentence({1.5}) == "1.5");
    CHECK(sentence({1e-4}) == "0.0001");
    CHECK(sentence({1.0 + 1e-15}) == "1.000000000000001");
    CHECK(sentence({std::numeric_limits<double>::max()}) == "1.7976931348623157e+308");
#ifndef __FAST_MATH__  // which makes every subnormal number 0
    CHECK(sentence({std::numeric_limits<double>::denorm_min()}) == "5e-324");
#endif
    CHECK(sentence({distill_test::infinite(), " ", distill_test::infinite(true)}) == "inf -inf");
}

TEST_CASE("integers in a message are whole, of any width") {
    CHECK(sentence({std::numeric_limits<std::int64_t>::min()}) == "-9223372036854775808");
    CHECK(sentence({std::numeric_limits<std::uint64_t>::max(), " ", 0, " ", std::int8_t{-7}}) ==
          "18446744073709551615 0 -7");
}

TEST_CASE("a message does not depend on the locale") {
    const std::string before = std::setlocale(LC_NUMERIC, nullptr);
    for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"})
        if (std::setlocale(LC_NUMERIC, name) != nullptr) break;
    CHECK(sentence({0.5, " ", 1234567}) == "0.5 1234567");
    std::setlocale(LC_NUMERIC, before.c_str());
}
