/// From the type computed in to the type stored.
#pragma once

#include <distill/core/number.hpp>

#include <limits>
#include <type_traits>

namespace distill::kernel {

/// The value rounded once to Element. A finite value stays finite: beyond Element's range it becomes the largest one.
template <class Element>
constexpr Element to_element(double value) {
    if constexpr (std::is_same_v<Element, double>) {
        return value;
    } else {
        const auto narrow = static_cast<float>(value);
        if constexpr (std::numeric_limits<Element>::is_specialized && !std::is_same_v<Element, float>) {
            const auto largest = static_cast<double>(static_cast<float>(std::numeric_limits<Element>::max()));
            if (is_finite(value) && value > largest) return std::numeric_limits<Element>::max();
            if (is_finite(value) && value < -largest) return std::numeric_limits<Element>::lowest();
        }
        return static_cast<Element>(narrow);
    }
}

}  // namespace distill::kernel
