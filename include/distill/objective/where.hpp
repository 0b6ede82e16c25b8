/// Objectives in some rows only, or more in some than in others, by what the row itself says.
#pragma once

#include <distill/objective/evaluate.hpp>
#include <distill/objective/term.hpp>

#include <concepts>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace distill::inline DISTILL_ABI {

/// A gate is called as gate(row) const with a row as for_row sees it (objective/term.hpp) and returns a factor, held
/// constant; its `static constexpr fields needs` says whether it reads the teacher's logits.
template <class Gate>
concept row_gate = std::copy_constructible<Gate> && requires(const Gate& gate, const detail::row_archetype& row) {
    { Gate::needs } -> std::convertible_to<fields>;
    { gate(row) } -> std::convertible_to<double>;
};

namespace detail {

/// What a term of some kind has to say of itself.
template <class Term>
struct gated_part {
    using objective_part = typename Term::objective_part;
    static constexpr bool stays_in_set = distill::stays_in_set<Term>();
};
template <class Term>
    requires is_part<Term, token_part>
struct gated_part<Term> {
    using objective_part = token_part;
    static constexpr token_source token = Term::token;
    std::int64_t found = 0;
};

/// A term times a gate's factor.
template <class Gate, class Term>
struct gated : gated_part<Term> {
    using gated_term = Term;
    static constexpr fields needs = needs_of<Term>() | Gate::needs;
    static constexpr bool sums_to_zero = known_to_sum_to_zero<Term>();

    Gate gate;
    Term value;
    double factor = 0.0;

    constexpr gated(const Gate& g, const Term& t) : gate(g), value(t) {}

    [[nodiscard]] constexpr const char* domain_error() const {
        const char* problem = nullptr;
        if constexpr (requires { value.domain_error(); }) problem = value.domain_error();
        if constexpr (requires { gate.domain_error(); }) problem = problem == nullptr ? gate.domain_error() : problem;
        return problem;
    }

    template <class Row>
    constexpr gated for_row(const Row& row) const {
        gated fitted = *this;
        fitted.factor = gate(row);
        if constexpr (row_dependent_term<Term>)
            if (fitted.factor != 0.0) fitted.value = value.for_row(row);
        if constexpr (requires { value.found; }) fitted.found = fitted.value.found;
        return fitted;
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const
        requires is_part<Term, vocabulary_part>
    {
        return T(factor) * evaluate(value, e);
    }
    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const
        requires is_part<Term, token_part>
    {
        const token_summand<T> s = evaluate(value, e);
        const T open(factor != 0.0 ? 1.0 : 0.0), f(factor);
        return {.value = f * s.value, .dlogp = f * s.dlogp, .clipped = open * s.clipped, .guarded = open * s.guarded};
    }
    template <class T>
    constexpr summand<T> inside(const entry<T>& e, const token_set<T>& set) const
        requires is_part<Term, token_set_part>
    {
        return T(factor) * value.inside(e, set);
    }
    template <class T>
    constexpr summand<T> outside(const entry<T>& e) const
        requires is_part<Term, token_set_part>
    {
        return T(factor) * value.outside(e);
    }
    template <class T>
    constexpr T operator()(const T& log_normalizer) const
        requires is_part<Term, normalizer_part>
    {
        return T(factor) * value(log_normalizer);
    }
};

template <class Gate, class Temperature, class... Terms>
constexpr auto gate_group(const Gate& gate, const term_group<Temperature, Terms...>& group) {
    return std::apply(
        [&](const auto&... t) {
            return make_group(group.own_temperature,
                              std::tuple<weighted<gated<Gate, Terms>>...>{
                                  weighted<gated<Gate, Terms>>{t.weight, gated<Gate, Terms>(gate, t.value), t.per_row}...});
        },
        group.terms);
}

}  // namespace detail

/// The objective times a factor that every row finds for itself, in the same call:
/// `where(teacher_entropy_above{0.8}, top_forward_kl{})`. Where the factor is known beforehand, per_row is cheaper.
template <class Gate, composable A>
[[nodiscard]] constexpr auto where(const Gate& gate, const A& a) {
    static_assert(
        row_gate<Gate>,
        "distill: a gate is called as gate(row) const, answers a number, and says in `static constexpr fields needs` "
        "what it reads of the batch");
    return std::apply(
        [&](const auto&... group) { return detail::make_objective(std::tuple(detail::gate_group(gate, group)...)); },
        as_objective(a).groups);
}

/// 1 where the student's entropy at the term's temperature exceeds `nats`, else 0. Costs a sweep over the row.
struct student_entropy_above {
    static constexpr fields needs = fields::none;
    double nats;

    template <class Row>
    constexpr double operator()(const Row& row) const {
        return row.sum([](const auto& e) { return -e.p * e.log_p; }) > nats ? 1.0 : 0.0;
    }
};

/// 1 where the teacher's entropy at the term's temperature exceeds `nats`, else 0: of all its logits, not of its most
/// probable tokens. Costs a sweep over the row. Source: EOPD (arXiv 2603.07079), forward KL where it exceeds 0.8.
struct teacher_entropy_above {
    static constexpr fields needs = fields::teacher;
    double nats;

    template <class Row>
    constexpr double operator()(const Row& row) const {
        return row.sum([](const auto& e) { return -e.q * e.log_q; }) > nats ? 1.0 : 0.0;
    }
};

}  // namespace distill::inline DISTILL_ABI
