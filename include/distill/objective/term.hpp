/// Terms, and the algebra that sums them into an objective.
#pragma once

#include <distill/core/temperature.hpp>
#include <distill/objective/concepts.hpp>

#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// What the bases of terms have in common: what kind of term it is, and a sentence for `mine{0.5}` where mine has parameters
/// and no constructor. The first element of such an aggregate is its base.
template <class Derived, class Part>
struct term_base {
    using objective_part = Part;

    constexpr term_base() = default;
    template <class Parameter>
        requires(!std::same_as<Parameter, Derived>)
    constexpr term_base(const Parameter&) {
        static_assert(sizeof(Parameter) == 0,
                      "distill: a term without a constructor has its base's braces before its parameters, mine{{}, 0.5}; or "
                      "give it a constructor: constexpr explicit mine(double)");
    }
};

}  // namespace detail

/// Base of a divergence: derive as `struct mine : distill::term<mine>` and write
/// `template <class T> constexpr distill::summand<T> operator()(const distill::entry<T>& e) const`.
///
/// Optional members of a term:
///   static constexpr fields needs           what of the batch it reads (default: the teacher's logits)
///   static constexpr bool sums_to_zero      true promises sum_v dlogp = 0 for every p and q; saves a sweep
///   static constexpr bool sums_to_reverse_kl    true promises sum_v dlogp = KL(p || q) for every p and q; saves one too
///   const char* domain_error() const        a sentence where a parameter is outside its domain, else nullptr
///   Derived for_row(const Row& row) const   the term to use in this row: for what depends on the row as a whole, such as
///                                           an entropy, a threshold or a baseline. It is held constant: no gradient flows
///                                           through it. A template; Row offers
///       row.sum(f)              sum_v f(entry): one more sweep over the row, of any number type, as a term's own body
///       row.sums<N>(f)          the same for a std::array of N
///       row.find(share, f)      the first entry at which the sum of f, never negative, has passed `share`; if none,
///                               the last one where f > 0
///       row.largest_q           the teacher's largest probability
///       row.index, row.vocabulary
///   static constexpr bool holds_row_constant    true: a value alone beside a for_row is differentiated with what for_row
///                                               found held constant; without it the two do not compile together
template <class Derived>
struct term : detail::term_base<Derived, vocabulary_part> {
    using detail::term_base<Derived, vocabulary_part>::term_base;
};

/// Base of a term that lives at one token: `static constexpr token_source token` says which one. Members as of a term.
template <class Derived>
struct token_term : detail::term_base<Derived, token_part> {
    using detail::term_base<Derived, token_part>::term_base;
};

/// Base of a term of the teacher's most probable tokens, batch.top_tokens, and of what is left of the vocabulary:
/// `inside(e, set)` is summed over the tokens, `outside(rest)` is added once, for the rest as one entry of its own.
/// `static constexpr bool stays_in_set = true`: `inside` is a function of p over its sum on the set, and its dlogp is with
/// respect to the logarithm of that; no gradient is sent outside.
template <class Derived>
struct token_set_term : detail::term_base<Derived, token_set_part> {
    using detail::term_base<Derived, token_set_part>::term_base;
    static constexpr fields needs = fields::teacher_top_tokens;
};

/// Base of a term of the student's log-normaliser: `template <class T> constexpr T operator()(const T& log_normalizer)
/// const`.
template <class Derived>
struct normalizer_term : detail::term_base<Derived, normalizer_part> {
    using detail::term_base<Derived, normalizer_part>::term_base;
};

/// A term with its coefficient.
template <class Term>
struct weighted {
    double weight;
    Term value;
    bool per_row = false;  ///< the coefficient is also multiplied by batch.coefficients
};

/// The temperature of terms that were given none: that of the loss.
struct inherited_temperature {};

/// Terms that share one temperature, and so one pair of softmaxes.
template <class Temperature, class... Terms>
struct term_group {
    Temperature own_temperature;
    std::tuple<weighted<Terms>...> terms;
};

/// A finished objective: groups of weighted terms. Only the first one may inherit the loss's temperature.
template <class... Groups>
struct objective {
    using objective_part = distill::objective_part;
    std::tuple<Groups...> groups;
};

namespace detail {

template <class>
inline constexpr bool inherits_temperature = false;
template <class... Terms>
inline constexpr bool inherits_temperature<term_group<inherited_temperature, Terms...>> = true;

/// Compiles the term's body with a number that has what distill::number lists and nothing else. Its name is what compilers
/// print beside the line of the term that asks for more.
template <template <class> class Entry, class Term>
void a_term_uses_what_distill_number_lists_and_nothing_else(const Term& t) {
    if constexpr (requires(const Entry<number_archetype>& e) { t(e); })
        t(Entry<number_archetype>{});
    else
        t(Entry<dual<number_archetype>>{});
}

template <class Term>
constexpr void check_term() {
    if constexpr (requires { &Term::template for_row<row_archetype>; }) {
        static_assert(row_dependent_term<Term>,
                      "distill: for_row(const Row&) const answers a term of the same type, for any type of row");
        static_assert(
            !returns_value_alone<Term>() || holds_row_constant<Term>(),
            "distill: a term with for_row returns its derivative too, in a summand: of a value alone what for_row "
            "found would be held constant; where that is meant, say static constexpr bool holds_row_constant = true");
    }
    if constexpr (is_part<Term, vocabulary_part>)
        static_assert(vocabulary_term<Term>,
                      "distill: a divergence is called as d(entry<T>) const, for any number type T, and returns "
                      "summand<T> or T");
    else if constexpr (is_part<Term, token_set_part>)
        static_assert(
            single_token_set_term<Term>,
            "distill: a term of a token set is called as t.inside(entry<T>, token_set<T>) const and t.outside(entry<T>) "
            "const, for any number type T, and both return summand<T>");
    else if constexpr (is_part<Term, normalizer_part>)
        static_assert(single_normalizer_term<Term>,
                      "distill: a normaliser's term is called as t(T) const, for any number type T, and returns T");
    else
        static_assert(single_token_term<Term>,
                      "distill: a token term is called as t(token_entry<T>) const, for any number type T, returns "
                      "token_summand<T> or T, and names its token in `static constexpr token_source token`");

    // The address alone: the body is compiled, and never called.
    if constexpr (vocabulary_term<Term>)
        static_cast<void>(&a_term_uses_what_distill_number_lists_and_nothing_else<entry, Term>);
    else if constexpr (single_token_term<Term>)
        static_cast<void>(&a_term_uses_what_distill_number_lists_and_nothing_else<token_entry, Term>);
}

}  // namespace detail

/// Any composable value as an objective: a term alone, a composition, or an objective itself.
template <composable X>
constexpr auto as_objective(const X& x) {
    if constexpr (detail::is_part<X, objective_part>) {
        return x;
    } else if constexpr (detail::is_part<X, composition_part>) {
        return as_objective(x.compose());
    } else {
        detail::check_term<X>();
        using group = term_group<inherited_temperature, X>;
        return objective<group>{std::tuple<group>{group{{}, std::tuple<weighted<X>>{weighted<X>{1.0, x, false}}}}};
    }
}

namespace detail {

/// The weighted terms that inherit their temperature.
template <class First, class... Rest>
constexpr auto inherited_terms(const objective<First, Rest...>& o) {
    if constexpr (inherits_temperature<First>)
        return std::get<0>(o.groups).terms;
    else
        return std::tuple<>{};
}

/// The groups that have a temperature of their own.
template <class First, class... Rest>
constexpr auto own_groups(const objective<First, Rest...>& o) {
    if constexpr (inherits_temperature<First>)
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple<Rest...>(std::get<I + 1>(o.groups)...);
        }(std::index_sequence_for<Rest...>{});
    else
        return o.groups;
}

template <class Temperature, class... Terms>
constexpr auto make_group(const Temperature& temperature, const std::tuple<weighted<Terms>...>& terms) {
    return term_group<Temperature, Terms...>{temperature, terms};
}

template <class... Groups>
constexpr auto make_objective(const std::tuple<Groups...>& groups) {
    return objective<Groups...>{groups};
}

template <class... Terms, class Groups>
constexpr auto assemble(const std::tuple<weighted<Terms>...>& inherited, const Groups& own) {
    if constexpr (sizeof...(Terms) == 0)
        return make_objective(own);
    else
        return make_objective(std::tuple_cat(std::make_tuple(make_group(inherited_temperature{}, inherited)), own));
}

/// The objective with `change` applied to every weighted term.
template <class Change, class... Groups>
constexpr auto with_each_term(objective<Groups...> o, const Change& change) {
    const auto of_group = [&](auto& group) { std::apply([&](auto&... t) { (change(t), ...); }, group.terms); };
    std::apply([&](auto&... group) { (of_group(group), ...); }, o.groups);
    return o;
}

/// A number on the right of an objective. It is a class, since clang before 16 substitutes A = double into an operator's
/// declaration before it looks at the constraint, and two numbers have no operator of ours.
struct number_beside {
    double value;
    constexpr number_beside(double x) noexcept : value(x) {}  // NOLINT(google-explicit-constructor)
};

}  // namespace detail

/// The sum of two objectives. Terms at the same temperature share their exponentials.
template <composable A, composable B>
[[nodiscard]] constexpr auto operator+(const A& a, const B& b) {
    const auto left = as_objective(a);
    const auto right = as_objective(b);
    return detail::assemble(std::tuple_cat(detail::inherited_terms(left), detail::inherited_terms(right)),
                            std::tuple_cat(detail::own_groups(left), detail::own_groups(right)));
}

template <composable A>
[[nodiscard]] constexpr auto operator*(double factor, const A& a) {
    return detail::with_each_term(as_objective(a), [&](auto& t) { t.weight *= factor; });
}

template <composable A>
[[nodiscard]] constexpr auto operator*(const A& a, detail::number_beside factor) {
    return factor.value * a;
}

template <composable A>
[[nodiscard]] constexpr auto operator/(const A& a, detail::number_beside divisor) {
    return detail::with_each_term(as_objective(a), [&](auto& t) { t.weight /= divisor.value; });
}

template <composable A>
[[nodiscard]] constexpr auto operator-(const A& a) {
    return -1.0 * a;
}

/// The difference, term by term: `forward_kl{} - 0.01 * entropy{}` rewards entropy.
template <composable A, composable B>
[[nodiscard]] constexpr auto operator-(const A& a, const B& b) {
    return a + -b;
}

// What the algebra does not have, with the sentence that says so.

template <class A, class B>
    requires(composable<A> != composable<B>)
constexpr auto operator+(const A& a, const B&) {
    static_assert(composable<A> && composable<B>,
                  "distill: a term is added to a term, a composition or a sum of them, not to anything else");
    return a;
}

template <class A, class B>
    requires(composable<A> != composable<B>)
constexpr auto operator-(const A& a, const B&) {
    static_assert(composable<A> && composable<B>,
                  "distill: a term is subtracted from a term, a composition or a sum of them, not from anything else, and "
                  "nothing else from it");
    return a;
}

template <composable A, composable B>
constexpr auto operator*(const A& a, const B&) {
    static_assert(!composable<B>,
                  "distill: a term is multiplied by a number, not by a term; a product of two is a term of its own");
    return a;
}

template <class A, composable B>
constexpr auto operator/(const A&, const B& b) {
    static_assert(!composable<B>, "distill: a term is divided by a number, and nothing is divided by a term");
    return b;
}

/// The objective times batch.coefficients, row by row: guidance on failed rollouts only, or on uncertain tokens only, is
/// `per_row(0.002 * teacher_guidance{})` with the rows' coefficients in the batch. Factors from training/gate.hpp or your
/// own.
template <composable A>
[[nodiscard]] constexpr auto per_row(const A& a) {
    return detail::with_each_term(as_objective(a), [](auto& t) { t.per_row = true; });
}

/// The same objective at a temperature of its own, whatever the loss's. Hinton's mix in one call:
/// `at_temperature(temperature{1}, 0.5 * cross_entropy{}) + at_temperature(temperature{T}, 0.5 * T * T * forward_kl{})`.
/// Terms that already have a temperature keep it.
template <composable A>
[[nodiscard]] constexpr auto at_temperature(const temperature& t, const A& a) {
    const auto o = as_objective(a);
    const auto inherited = detail::inherited_terms(o);
    if constexpr (std::tuple_size_v<std::remove_const_t<decltype(inherited)>> == 0)
        return o;
    else
        return detail::make_objective(
            std::tuple_cat(std::make_tuple(detail::make_group(t, inherited)), detail::own_groups(o)));
}

}  // namespace distill::inline DISTILL_ABI
