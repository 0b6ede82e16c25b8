// How far two results are apart. A result that is not finite is infinitely far from everything, under every compiler flag.
#pragma once

#include <distill/core/number.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace distill_test {

inline constexpr double infinitely_far = 1e300;

// |found - expected|, relative where the expected value exceeds one.
inline double deviation(double found, double expected) {
    if (!distill::is_finite(found) || !distill::is_finite(expected)) return infinitely_far;
    return std::abs(found - expected) / std::max(1.0, std::abs(expected));
}

inline double relative_error(double found, double expected) {
    if (!distill::is_finite(found) || !distill::is_finite(expected)) return infinitely_far;
    return found == expected ? 0.0 : std::abs(found - expected) / std::max(std::abs(expected), 1e-300);
}

// The largest deviation of any element.
inline double deviation(const std::vector<double>& found, const std::vector<double>& expected) {
    if (found.size() != expected.size()) return infinitely_far;
    double largest = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) largest = std::max(largest, deviation(found[i], expected[i]));
    return largest;
}

inline bool all_finite(const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return distill::is_finite(v); });
}

inline bool all_zero(const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return distill::is_finite(v) && v == 0.0; });
}

inline double norm(const std::vector<double>& values) {
    double squares = 0.0;
    for (const double v : values) squares += v * v;
    return std::sqrt(squares);
}

// Norm of the difference over the norm of what was expected.
inline double norm_error(const std::vector<double>& found, const std::vector<double>& expected) {
    if (found.size() != expected.size() || !all_finite(found) || !all_finite(expected)) return infinitely_far;
    std::vector<double> difference(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) difference[i] = found[i] - expected[i];
    const double size = norm(expected);
    return size == 0.0 ? (norm(difference) == 0.0 ? 0.0 : infinitely_far) : norm(difference) / size;
}

}  // namespace distill_test
