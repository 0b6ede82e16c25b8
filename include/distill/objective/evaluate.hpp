/// A term's value and derivative, whichever of the two it writes itself.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/entry.hpp>

#include <concepts>

namespace distill::inline DISTILL_ABI {

/// What a term returns, as a summand; a value alone is differentiated.
template <class Number, class Term>
DISTILL_AROUND_USER_CODE constexpr summand<Number> evaluate(const Term& term, const entry<Number>& e) {
    if constexpr (requires {
                      { term(e) } -> std::same_as<summand<Number>>;
                  }) {
        return term(e);
    } else {
        const dual<Number> value = term(differentiable(e));
        return {value.value, value.derivative};
    }
}

template <class Number, class Term>
DISTILL_AROUND_USER_CODE constexpr token_summand<Number> evaluate(const Term& term, const token_entry<Number>& e) {
    if constexpr (requires {
                      { term(e) } -> std::same_as<token_summand<Number>>;
                  }) {
        return term(e);
    } else {
        const dual<Number> value = term(differentiable(e));
        return {value.value, value.derivative};
    }
}

}  // namespace distill::inline DISTILL_ABI
