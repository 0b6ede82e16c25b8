/// What an objective needs of a row, known at compile time.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/objective/evaluate.hpp>
#include <distill/objective/term.hpp>

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI::row {

template <class Objective>
struct objective_traits;

/// Counts and properties of the terms of an objective.
template <class... Groups>
struct objective_traits<objective<Groups...>> {
private:
    template <class Part, class Temperature, class... Terms>
    static constexpr std::size_t count(const term_group<Temperature, Terms...>*) {
        return (std::size_t{0} + ... + std::size_t{detail::is_part<Terms, Part>});
    }
    template <class Temperature, class... Terms, class Predicate>
    static constexpr bool any_of(const term_group<Temperature, Terms...>*, Predicate predicate) {
        return (false || ... || predicate(std::type_identity<Terms>{}));
    }
    template <class Predicate>
    static constexpr bool any(Predicate predicate) {
        return (false || ... || any_of(static_cast<const Groups*>(nullptr), predicate));
    }

public:
    static constexpr std::size_t groups = sizeof...(Groups);
    static constexpr std::array<bool, groups> inherits_temperature() { return {detail::inherits_temperature<Groups>...}; }
    /// Of every group.
    static constexpr std::array<std::size_t, groups> vocabulary_terms_of_groups() {
        return {count<vocabulary_part>(static_cast<const Groups*>(nullptr))...};
    }
    static constexpr std::size_t token_terms =
        (std::size_t{0} + ... + count<token_part>(static_cast<const Groups*>(nullptr)));
    static constexpr std::size_t token_set_terms =
        (std::size_t{0} + ... + count<token_set_part>(static_cast<const Groups*>(nullptr)));
    static constexpr std::size_t normalizer_terms =
        (std::size_t{0} + ... + count<normalizer_part>(static_cast<const Groups*>(nullptr)));

    /// How many entries of a row may have a contribution of their own to the gradient.
    static constexpr std::size_t single_entries =
        token_terms + token_set_terms * static_cast<std::size_t>(largest_token_set);

    static constexpr std::size_t vocabulary_terms =
        (std::size_t{0} + ... + count<vocabulary_part>(static_cast<const Groups*>(nullptr)));
    static constexpr bool has_vocabulary_terms = vocabulary_terms > 0;

    /// A vocabulary term reads the teacher's logits.
    static constexpr bool reads_teacher = any([]<class Term>(std::type_identity<Term>) {
        return detail::is_part<Term, vocabulary_part> && contains(needs_of<Term>(), fields::teacher);
    });

    /// A term that is no sum over the vocabulary may read the teacher's softmax: log q(y), or what its for_row sums.
    static constexpr bool may_want_teacher_softmax = any([]<class Term>(std::type_identity<Term>) {
        return !detail::is_part<Term, vocabulary_part> &&
               contains(needs_of<Term>(), fields::teacher_log_prob | fields::teacher);
    });

    /// A term depends on the row as a whole.
    static constexpr bool has_row_dependent_terms =
        any([]<class Term>(std::type_identity<Term>) { return row_dependent_term<Term>; });

    /// H = sum_v dlogp has to be summed before the gradient is written.
    static constexpr bool needs_dlogp_sum = any([]<class Term>(std::type_identity<Term>) {
        return detail::is_part<Term, vocabulary_part> && !known_to_sum_to_zero<Term>();
    });

    /// A token term reads the teacher's own prediction.
    static constexpr bool may_want_teacher_label =
        any([]<class Term>(std::type_identity<Term>) { return contains(needs_of<Term>(), fields::teacher_label); });

    /// One sweep may read both rows together (row/pair_scan.hpp), which finds no argmax.
    static constexpr bool reads_rows_together = reads_teacher && groups == 1 && !may_want_teacher_label;

    /// H is a multiple of KL(p || q), which that sweep finds beside the normalisers.
    static constexpr bool dlogp_sum_is_reverse_kl =
        needs_dlogp_sum && reads_rows_together && !any([]<class Term>(std::type_identity<Term>) {
            return detail::is_part<Term, vocabulary_part> && !known_to_sum_to_zero<Term>() &&
                   !known_to_sum_to_reverse_kl<Term>();
        });
};

/// The temperatures of the groups, resolved once per call.
template <class... Groups>
constexpr std::array<temperature, sizeof...(Groups)> group_temperatures(const objective<Groups...>& o,
                                                                        const temperature& inherited) {
    const auto of = [&]<class Group>(const Group& group) -> temperature {
        if constexpr (detail::inherits_temperature<Group>)
            return inherited;
        else
            return group.own_temperature;
    };
    return std::apply([&](const auto&... group) { return std::array<temperature, sizeof...(Groups)>{of(group)...}; },
                      o.groups);
}

/// Calls visit(group_index, weighted_term) for every term. The index is a compile-time constant.
template <class Objective, class Visitor>
DISTILL_INLINE constexpr void for_each_term(Objective& o, const Visitor& visit) {
    const auto in_group = [&](auto index, auto& group) DISTILL_INLINE_LAMBDA {
        std::apply([&](auto&... t) DISTILL_INLINE_LAMBDA { (visit(index, t), ...); }, group.terms);
    };
    [&]<std::size_t... Index>(std::index_sequence<Index...>) DISTILL_INLINE_LAMBDA {
        (in_group(std::integral_constant<std::size_t, Index>{}, std::get<Index>(o.groups)), ...);
    }(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<decltype(o.groups)>>>{});
}

/// c, where the vocabulary terms' dlogp_sum is c KL(p || q).
template <class Objective>
DISTILL_INLINE constexpr double weight_of_reverse_kl(const Objective& o) {
    double weight = 0.0;
    for_each_term(o, [&]<class Term>(auto, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
        if constexpr (known_to_sum_to_reverse_kl<Term>()) weight += t.weight;
    });
    return weight;
}

/// True where a term that is no sum over the vocabulary, of coefficient other than 0, reads one of these fields.
template <class Objective>
constexpr bool wants(const Objective& o, fields any_of) {
    bool wanted = false;
    for_each_term(o, [&]<class Term>(auto, const weighted<Term>& t) {
        if constexpr (!detail::is_part<Term, vocabulary_part>)
            wanted = wanted || (contains(needs_of<Term>(), any_of) && t.weight != 0.0);
    });
    return wanted;
}

/// The sum of nothing. Unlike x + 0.0, x - 0.0 is x to every compiler: a sum of one term costs no addition.
inline constexpr double empty_sum = -0.0;

/// The coefficient that the sum of group I leaves out: that of a vocabulary term which is the only one of its group.
template <std::size_t Index, class Objective>
DISTILL_INLINE constexpr double common_factor(const Objective& o) {
    double factor = 1.0;
    if constexpr (objective_traits<Objective>::vocabulary_terms_of_groups()[Index] == 1)
        for_each_term(o, [&]<class Term>(auto group, const weighted<Term>& t) DISTILL_INLINE_LAMBDA {
            if constexpr (group() == Index && detail::is_part<Term, vocabulary_part>) factor = t.weight;
        });
    return factor;
}

/// The weighted sum of the vocabulary terms of group I, over its common factor.
template <std::size_t Index, class Number, class Objective>
DISTILL_INLINE constexpr summand<Number> evaluate_group(const Objective& o, const entry<Number>& e) {
    summand<Number> total{Number(empty_sum), Number(empty_sum)};
    const auto& terms = std::get<Index>(o.groups).terms;
    // Not std::apply: it calls the term through functions that g++ need not inline.
    [&]<std::size_t... T>(std::index_sequence<T...>) DISTILL_INLINE_LAMBDA {
        const auto add = [&]<class Term>(const weighted<Term>& term) DISTILL_INLINE_LAMBDA {
            if constexpr (!detail::is_part<Term, vocabulary_part>)
                return;
            else if constexpr (objective_traits<Objective>::vocabulary_terms_of_groups()[Index] == 1)
                total = evaluate(term.value, e);
            else
                total = total + Number(term.weight) * evaluate(term.value, e);
        };
        (add(std::get<T>(terms)), ...);
    }(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<decltype(terms)>>>{});
    return total;
}

}  // namespace distill::inline DISTILL_ABI::row
