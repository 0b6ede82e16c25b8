/// A number type that can do exactly what the concept promises: a term that compiles with it compiles with every number.
/// Its functions have bodies, since some builds emit the terms that are compiled with it; nothing calls them.
#pragma once

#include <distill/core/number.hpp>

#include <concepts>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::detail {

struct number_archetype {
    /// What a comparison returns: select's first argument, and nothing else.
    struct mask {
        template <std::same_as<bool> Boolean>
        constexpr operator Boolean() const {
            static_assert(!std::same_as<Boolean, bool>,
                          "distill: a number may be many lanes, which do not all take the same branch: choose with "
                          "select(a < b, x, y), not with if, ?:, && or ||");
            return false;
        }
    };

    number_archetype() = default;
    constexpr number_archetype(double) {}

    friend constexpr number_archetype operator+(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype operator-(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype operator*(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype operator/(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype operator-(number_archetype) { return {}; }
    friend constexpr mask operator<(number_archetype, number_archetype) { return {}; }
    friend constexpr mask operator>(number_archetype, number_archetype) { return {}; }
    friend constexpr mask operator<=(number_archetype, number_archetype) { return {}; }
    friend constexpr mask operator>=(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype select(mask, number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype abs(number_archetype) { return {}; }
    friend constexpr number_archetype min(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype max(number_archetype, number_archetype) { return {}; }
    friend constexpr number_archetype exp(number_archetype) { return {}; }
    friend constexpr number_archetype expm1(number_archetype) { return {}; }
    friend constexpr number_archetype log(number_archetype) { return {}; }
    friend constexpr number_archetype log1p(number_archetype) { return {}; }
    friend constexpr number_archetype sqrt(number_archetype) { return {}; }
};

static_assert(number<number_archetype>);

}  // namespace distill::inline DISTILL_ABI::detail

#include <distill/core/macros_of_others.hpp>
