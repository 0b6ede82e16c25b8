/// A number type that can do exactly what the concept promises: a term that compiles with it compiles with every number.
#pragma once

#include <distill/core/number.hpp>

namespace distill::detail {

struct number_archetype {
    struct mask {};

    number_archetype() = default;
    number_archetype(double);

    friend number_archetype operator+(number_archetype, number_archetype);
    friend number_archetype operator-(number_archetype, number_archetype);
    friend number_archetype operator*(number_archetype, number_archetype);
    friend number_archetype operator/(number_archetype, number_archetype);
    friend number_archetype operator-(number_archetype);
    friend mask operator<(number_archetype, number_archetype);
    friend mask operator>(number_archetype, number_archetype);
    friend mask operator<=(number_archetype, number_archetype);
    friend mask operator>=(number_archetype, number_archetype);
    friend number_archetype select(mask, number_archetype, number_archetype);
    friend number_archetype abs(number_archetype);
    friend number_archetype min(number_archetype, number_archetype);
    friend number_archetype max(number_archetype, number_archetype);
    friend number_archetype exp(number_archetype);
    friend number_archetype expm1(number_archetype);
    friend number_archetype log(number_archetype);
    friend number_archetype log1p(number_archetype);
    friend number_archetype sqrt(number_archetype);
};

static_assert(number<number_archetype>);

}  // namespace distill::detail
