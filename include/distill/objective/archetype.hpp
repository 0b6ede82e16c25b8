/// A number type that can do exactly what the concept promises: a term that compiles with it compiles with every number.
/// Its functions have bodies, since some builds emit the terms that are compiled with it; nothing calls them.
#pragma once

#include <distill/core/number.hpp>

#include <concepts>
#include <type_traits>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::detail {

struct number_archetype;

/// A number and what converts to one: exact matches, which are preferred to the built-in operators on doubles.
template <class A, class B>
concept archetype_operands =
    (std::same_as<A, number_archetype> && (std::same_as<B, number_archetype> || std::is_arithmetic_v<B>)) ||
    (std::is_arithmetic_v<A> && std::same_as<B, number_archetype>);

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

    /// What a function of doubles asks for, std::exp or pow, so that it is refused with a sentence.
    template <std::same_as<double> Double>
    constexpr operator Double() const {
        static_assert(
            !std::same_as<Double, double>,
            "distill: a term calls exp, expm1, log, log1p, sqrt, abs, min, max and select, without std::, and no other "
            "function: a number may be many lanes, which are no double; pow(x, a) is exp(T(a) * log(x))");
        return 0.0;
    }

    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr number_archetype operator+(const A&, const B&) {
        return {};
    }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr number_archetype operator-(const A&, const B&) {
        return {};
    }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr number_archetype operator*(const A&, const B&) {
        return {};
    }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr number_archetype operator/(const A&, const B&) {
        return {};
    }
    friend constexpr number_archetype operator-(number_archetype) { return {}; }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr mask operator<(const A&, const B&) {
        return {};
    }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr mask operator>(const A&, const B&) {
        return {};
    }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr mask operator<=(const A&, const B&) {
        return {};
    }
    template <class A, class B>
        requires archetype_operands<A, B>
    friend constexpr mask operator>=(const A&, const B&) {
        return {};
    }
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
