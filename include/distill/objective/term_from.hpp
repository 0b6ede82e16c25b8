/// A divergence written as a lambda.
#pragma once

#include <distill/objective/term.hpp>

#include <utility>

namespace distill::inline DISTILL_ABI {

/// Wraps a generic callable: `term_from([](const auto& e) { return e.p * e.log_ratio; })`. It may return a summand, or the
/// value alone, which the library differentiates. It reads the teacher's logits.
template <class Function>
struct term_from : term<term_from<Function>> {
    Function function;

    constexpr explicit term_from(Function f) : function(std::move(f)) {}

    template <class T>
    constexpr auto operator()(const entry<T>& e) const -> decltype(function(e)) {
        return function(e);
    }
};

}  // namespace distill::inline DISTILL_ABI
