#include <distill/core/dual.hpp>
#include <distill/core/number.hpp>
#include <distill/core/scalar.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <initializer_list>

static_assert(distill::number<distill::scalar<float>>);
static_assert(distill::number<distill::scalar<double>>);
static_assert(distill::number<distill::dual<distill::scalar<double>>>);
static_assert(!distill::number<double>);

TEST_CASE("finiteness is read from the bits") {
    for (const std::uint64_t bits :
         std::initializer_list<std::uint64_t>{0x0000000000000000u, 0x8000000000000000u, 0x0000000000000001u,
                                              0x7fefffffffffffffu, 0xffefffffffffffffu, 0x3ff0000000000000u})
        CHECK(distill::is_finite(std::bit_cast<double>(bits)));
    for (const std::uint64_t bits :
         std::initializer_list<std::uint64_t>{0x7ff0000000000000u, 0xfff0000000000000u, 0x7ff8000000000000u,
                                              0xfff8000000000000u, 0x7ff0000000000001u, 0xffffffffffffffffu})
        CHECK_FALSE(distill::is_finite(std::bit_cast<double>(bits)));
    CHECK(std::bit_cast<std::uint64_t>(distill::quiet_nan()) == 0x7ff8000000000000u);
}
