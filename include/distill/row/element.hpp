/// From the type computed in to the type stored, and back.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/number.hpp>
#include <distill/core/storage_format.hpp>

#include <concepts>

namespace distill::inline DISTILL_ABI::row {

/// The largest finite value of a 16-bit type.
template <class Element>
constexpr float largest_value() {
    return known_format<Element>() == storage_format::half ? 65504.0f : 0x1.fep127f;
}

/// The value rounded once to Element. A finite value stays finite: beyond Element's range it becomes the largest one.
template <class Element, std::floating_point Real>
constexpr Element to_element(Real value) {
    if constexpr (sizeof(Element) > 2) {
        return static_cast<Element>(value);
    } else {
        constexpr float largest = largest_value<Element>();
        auto narrow = static_cast<float>(value);
        if (is_finite(value)) narrow = narrow > largest ? largest : narrow < -largest ? -largest : narrow;
        return static_cast<Element>(narrow);
    }
}

/// What is stored, exactly. A 16-bit type may convert to float alone.
template <std::floating_point Real, class Element>
DISTILL_INLINE constexpr Real from_element(const Element& stored) {
    if constexpr (sizeof(Element) > 2)
        return static_cast<Real>(stored);
    else
        return static_cast<Real>(static_cast<float>(stored));
}

}  // namespace distill::inline DISTILL_ABI::row
