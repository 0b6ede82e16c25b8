/// Softmax temperatures.
#pragma once

#include <distill/core/number.hpp>

namespace distill::inline DISTILL_ABI {

/// p = softmax(z / student), q = softmax(w / teacher). Loss and gradient are those of the function written this way: there
/// is no hidden T^2; a caller who wants Hinton's scale writes `T * T * forward_kl{}`.
/// Each lies in [smallest_temperature, largest_temperature]; anything else is an error.
struct temperature {
    double student = 1.0;
    double teacher = 1.0;

    constexpr temperature() = default;
    /// The same temperature for both.
    constexpr explicit temperature(double both) noexcept : student(both), teacher(both) {}
    constexpr temperature(double for_student, double for_teacher) noexcept : student(for_student), teacher(for_teacher) {}
};

inline constexpr double smallest_temperature = 1e-4;
inline constexpr double largest_temperature = 1e4;

constexpr bool is_temperature(double t) noexcept {
    return is_finite(t) && t >= smallest_temperature && t <= largest_temperature;
}

}  // namespace distill::inline DISTILL_ABI
