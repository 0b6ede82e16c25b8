// Which 16-bit types are IEEE half, and which are bfloat16.
#include <distill/core/storage_format.hpp>
#include <distill/objective/concepts.hpp>
#include <support/sixteen_bits.hpp>

#include <Eigen/Core>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>

// The types of CUDA, by name: their headers are not here.
struct __half {
    std::uint16_t bits;
    explicit __half(float x);
    explicit operator float() const;
};
struct __nv_bfloat16 {
    std::uint16_t bits;
    explicit __nv_bfloat16(float x);
    explicit operator float() const;
};

namespace distill_test {

// Converts in constant expressions, and has no std::numeric_limits.
struct constant_bfloat16 {
    std::uint16_t bits;
    constexpr explicit constant_bfloat16(float x)
        : bits(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16)) {}
    constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

// Converts in constant expressions, and is neither: 8 bits before the point and 8 after it.
struct fixed_point {
    std::int16_t bits;
    constexpr explicit fixed_point(float x) : bits(static_cast<std::int16_t>(x * 256.0f)) {}
    constexpr explicit operator float() const { return static_cast<float>(bits) / 256.0f; }
};

// Says nothing of itself, and is named below.
struct named_half {
    std::uint16_t bits;
    explicit named_half(float x);
    explicit operator float() const;
};

// Says nothing of itself, and nobody does.
struct silent {
    std::uint16_t bits;
    explicit silent(float x);
    explicit operator float() const;
};

enum class short_enumeration : std::uint16_t {};

struct refers_to_float {
    explicit refers_to_float(float);
    refers_to_float(const refers_to_float&);
    explicit operator float() const;
    std::uint16_t bits;
};

}  // namespace distill_test

template <>
inline constexpr auto distill::storage_format_of<distill_test::named_half> = distill::storage_format::half;

namespace distill_test {

using distill::logit_element, distill::storage_format, distill::storage_format_of;

TEST_CASE("a 16-bit type is half or bfloat16 by its digits, by the bits that it makes of numbers, or by its name") {
    CHECK(storage_format_of<Eigen::half> == storage_format::half);
    CHECK(storage_format_of<Eigen::bfloat16> == storage_format::bfloat16);
    CHECK(storage_format_of<framework_half> == storage_format::half);
    CHECK(storage_format_of<framework_bfloat16> == storage_format::bfloat16);
    CHECK(storage_format_of<constant_bfloat16> == storage_format::bfloat16);
    CHECK(storage_format_of<named_half> == storage_format::half);
    CHECK(storage_format_of<__half> == storage_format::half);
    CHECK(storage_format_of<__nv_bfloat16> == storage_format::bfloat16);
#if defined(__clang__) ? __clang_major__ >= 15 || defined(__aarch64__) : __GNUC__ >= 13
    CHECK(storage_format_of<_Float16> == storage_format::half);
    CHECK(logit_element<_Float16>);
#endif
#if defined(__aarch64__)
    CHECK(storage_format_of<__fp16> == storage_format::half);
    CHECK(logit_element<__fp16>);
#endif
}

TEST_CASE("a 16-bit type of another format, or of none that is said, is unknown") {
    CHECK(storage_format_of<fixed_point> == storage_format::unknown);
    CHECK(storage_format_of<silent> == storage_format::unknown);
    CHECK(storage_format_of<std::uint16_t> == storage_format::unknown);
    CHECK(storage_format_of<float> == storage_format::unknown);
}

TEST_CASE("logits are of trivially copyable 16-bit types that convert to float and back, integers and enumerations apart") {
    CHECK(logit_element<Eigen::half>);
    CHECK(logit_element<framework_half>);
    CHECK(logit_element<framework_bfloat16>);
    CHECK(logit_element<__half>);
    CHECK_FALSE(logit_element<std::int16_t>);
    CHECK_FALSE(logit_element<char16_t>);
    CHECK_FALSE(logit_element<short_enumeration>);
    CHECK_FALSE(logit_element<refers_to_float>);
}

}  // namespace distill_test
