/// From the type computed in to the type stored, and back.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/number.hpp>

#include <concepts>
#include <limits>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// The largest finite value of a 16-bit type, which a gradient beyond it becomes; 0 where nobody says: it becomes infinite then.
/// For a type without std::numeric_limits a specialisation says.
template <class Element>
struct largest_value {
    static constexpr float get() {
        if constexpr (std::numeric_limits<Element>::is_specialized)
            return static_cast<float>(std::numeric_limits<Element>::max());
        else
            return 0.0f;
    }
};

namespace row {

/// The value rounded once to Element. A finite value stays finite: beyond Element's range it becomes the largest one.
template <class Element, std::floating_point Real>
constexpr Element to_element(Real value) {
    if constexpr (std::is_floating_point_v<Element>) {
        return static_cast<Element>(value);
    } else {
        const float largest = largest_value<Element>::get();
        auto narrow = static_cast<float>(value);
        if (largest > 0.0f && is_finite(value)) narrow = narrow > largest ? largest : narrow < -largest ? -largest : narrow;
        return static_cast<Element>(narrow);
    }
}

/// What is stored, exactly. A 16-bit type may convert to float alone.
template <std::floating_point Real, class Element>
DISTILL_INLINE constexpr Real from_element(const Element& stored) {
    if constexpr (std::is_floating_point_v<Element>)
        return static_cast<Real>(stored);
    else
        return static_cast<Real>(static_cast<float>(stored));
}

}  // namespace row
}  // namespace distill::inline DISTILL_ABI
