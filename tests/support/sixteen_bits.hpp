// 16-bit types as a framework has them: their bits, an implicit conversion from float and to it, which is no constant
// expression, and std::numeric_limits.
#pragma once

#include <Eigen/Core>

#include <cstdint>
#include <cstring>
#include <limits>

namespace distill_test {

template <class Of>
struct alignas(2) framework_type {
    std::uint16_t x;

    struct from_bits_t {};

    framework_type() = default;
    constexpr framework_type(std::uint16_t bits, from_bits_t) : x(bits) {}
    framework_type(float value) {
        const Of rounded(value);
        std::memcpy(&x, &rounded, sizeof x);
    }
    operator float() const {
        Of stored;
        std::memcpy(static_cast<void*>(&stored), &x, sizeof x);
        return static_cast<float>(stored);
    }
};

using framework_half = framework_type<Eigen::half>;
using framework_bfloat16 = framework_type<Eigen::bfloat16>;

}  // namespace distill_test

template <class Of>
class std::numeric_limits<distill_test::framework_type<Of>> {
public:
    static constexpr bool is_specialized = true, is_integer = false;
    static constexpr int digits = std::numeric_limits<Of>::digits;
};
