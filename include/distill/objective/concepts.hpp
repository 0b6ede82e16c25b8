/// The kinds of term, and the sentence that each of them has to satisfy.
#pragma once

#include <distill/core/entry.hpp>
#include <distill/core/fields.hpp>
#include <distill/objective/archetype.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace distill::inline DISTILL_ABI {

/// What a logit may be stored as: float, double, or a 16-bit type that converts to float and back (core/storage_format.hpp).
template <class Element>
concept logit_element = std::same_as<Element, float> || std::same_as<Element, double> ||
                        (sizeof(Element) == 2 && std::is_trivially_copyable_v<Element> && !std::is_integral_v<Element> &&
                         !std::is_enum_v<Element> && requires(Element x, float f) {
                             static_cast<float>(x);
                             static_cast<Element>(f);
                         });

/// What a type is to the objective algebra: its member type `objective_part` is one of these.
struct vocabulary_part {};   ///< a sum over the vocabulary: distill::term
struct token_part {};        ///< a function of one token's log-probability: distill::token_term
struct token_set_part {};    ///< a sum over a set of tokens and the rest of the vocabulary: distill::token_set_term
struct normalizer_part {};   ///< a function of log sum exp(z / T): distill::normalizer_term
struct composition_part {};  ///< a name for a sum of terms: has compose()
struct objective_part {};    ///< a finished sum: distill::objective

/// Anything that + and scalar * accept.
template <class X>
concept composable = requires { typename X::objective_part; };

namespace detail {

template <class X, class Part>
concept is_part = composable<X> && std::same_as<typename X::objective_part, Part>;

/// Called with an entry, a term returns a summand, or the value alone, which the library differentiates.
template <class D, class Entry, class Summand, class T>
concept answers = requires(const D& d, const Entry& e) {
    { d(e) } -> std::same_as<Summand>;
} || requires(const D& d, const Entry& e) {
    { d(e) } -> std::same_as<T>;
};

}  // namespace detail

/// A divergence is called as d(entry<T>) const, for any number type T, and returns summand<T> or T.
/// Checked with an archetype that has what `number` promises and nothing else, so a functor that is written for float, or
/// that converts to bool, is refused here and not deep inside a backend.
template <class D>
concept vocabulary_term =
    detail::is_part<D, vocabulary_part> && std::copy_constructible<D> &&
    (detail::answers<D, entry<detail::number_archetype>, summand<detail::number_archetype>, detail::number_archetype> ||
     detail::answers<D, entry<dual<detail::number_archetype>>, summand<dual<detail::number_archetype>>,
                     dual<detail::number_archetype>>);

/// A token term is called as t(token_entry<T>) const, for any number type T, returns token_summand<T> or T, and says in
/// `static constexpr token_source token` which token of the row it looks at.
template <class D>
concept single_token_term = detail::is_part<D, token_part> && std::copy_constructible<D> &&
                            requires {
                                { D::token } -> std::convertible_to<token_source>;
                            } &&
                            detail::answers<D, token_entry<detail::number_archetype>,
                                            token_summand<detail::number_archetype>, detail::number_archetype>;

/// A term of a token set is called as t.inside(entry<T>, token_set<T>) const for every token of the set and as
/// t.outside(entry<T>) const for the rest of the vocabulary as one entry, for any number type T, and both return summand<T>.
template <class D>
concept single_token_set_term =
    detail::is_part<D, token_set_part> && std::copy_constructible<D> &&
    requires(const D& d, const entry<detail::number_archetype>& e, const token_set<detail::number_archetype>& set) {
        { d.inside(e, set) } -> std::same_as<summand<detail::number_archetype>>;
        { d.outside(e) } -> std::same_as<summand<detail::number_archetype>>;
    };

/// A normaliser's term is called as t(T) const with log sum_v exp(z_v / T), for any number type T, and returns T, which the
/// library differentiates.
template <class D>
concept single_normalizer_term = detail::is_part<D, normalizer_part> && std::copy_constructible<D> &&
                                 requires(const D& d, const dual<detail::number_archetype>& log_normalizer) {
                                     { d(log_normalizer) } -> std::same_as<dual<detail::number_archetype>>;
                                 };

namespace detail {

/// A row as for_row sees it (objective/term.hpp), without the row: its functions are compiled, and never called.
struct row_archetype {
    std::ptrdiff_t index = 0;
    std::ptrdiff_t vocabulary = 1;
    double largest_q = 1.0;

    template <class Function>
    double sum(const Function& function) const {
        static_cast<void>(number_archetype(function(entry<number_archetype>{})));
        return 0.0;
    }
    template <std::size_t Count, class Function>
    std::array<double, Count> sums(const Function& function) const {
        static_cast<void>(std::array<number_archetype, Count>(function(entry<number_archetype>{})));
        return {};
    }
    template <class Function>
    std::int64_t find(double, const Function& function) const {
        return static_cast<std::int64_t>(sum(function));
    }
};

}  // namespace detail

/// A term that depends on the row as a whole: `template <class Row> D for_row(const Row&) const` returns the term for a row.
template <class D>
concept row_dependent_term = requires(const D& d, const detail::row_archetype& row) {
    { d.for_row(row) } -> std::same_as<D>;
};

/// The term's own promise that sum_v dlogp = 0: its member `sums_to_zero`, by default not given.
template <class D>
constexpr bool known_to_sum_to_zero() noexcept {
    if constexpr (requires {
                      { D::sums_to_zero } -> std::convertible_to<bool>;
                  })
        return D::sums_to_zero;
    else
        return false;
}

/// The term's own promise that sum_v dlogp = KL(p || q): its member `sums_to_reverse_kl`, by default not given.
template <class D>
constexpr bool known_to_sum_to_reverse_kl() noexcept {
    if constexpr (requires {
                      { D::sums_to_reverse_kl } -> std::convertible_to<bool>;
                  })
        return D::sums_to_reverse_kl;
    else
        return false;
}

/// A term that returns its value alone, which the library differentiates.
template <class D>
constexpr bool returns_value_alone() noexcept {
    if constexpr (detail::is_part<D, vocabulary_part>)
        return !requires(const D& d, const entry<detail::number_archetype>& e) {
            { d(e) } -> std::same_as<summand<detail::number_archetype>>;
        };
    else if constexpr (detail::is_part<D, token_part>)
        return !requires(const D& d, const token_entry<detail::number_archetype>& e) {
            { d(e) } -> std::same_as<token_summand<detail::number_archetype>>;
        };
    else
        return false;
}

/// The term's own word that what for_row finds is meant to be held constant where the value alone is differentiated: its
/// member `holds_row_constant`, by default not given.
template <class D>
constexpr bool holds_row_constant() noexcept {
    if constexpr (requires {
                      { D::holds_row_constant } -> std::convertible_to<bool>;
                  })
        return D::holds_row_constant;
    else
        return false;
}

/// A token set's term compares the set with itself, and has no gradient outside: its member `stays_in_set`, by default not
/// given. What `outside` returns has then a value alone.
template <class D>
constexpr bool stays_in_set() noexcept {
    if constexpr (requires {
                      { D::stays_in_set } -> std::convertible_to<bool>;
                  })
        return D::stays_in_set;
    else
        return false;
}

/// The batch fields that a term reads: its member `needs`, or by default the teacher's logits for a vocabulary term and
/// nothing but its token for a token term.
template <class D>
constexpr fields needs_of() noexcept {
    fields needs = fields::none;
    if constexpr (requires {
                      { D::needs } -> std::convertible_to<fields>;
                  })
        needs = D::needs;
    else if constexpr (detail::is_part<D, vocabulary_part>)
        needs = fields::teacher;
    if constexpr (detail::is_part<D, token_part>) {
        switch (D::token) {
            case token_source::sampled:
                return needs | fields::tokens;
            case token_source::teacher_predicted:
                return needs | fields::teacher_label;
            case token_source::label:
                return needs | fields::labels;
            case token_source::found_in_row:
                return needs;
        }
    }
    return needs;
}

}  // namespace distill::inline DISTILL_ABI
