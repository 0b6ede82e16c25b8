// The gradient is the derivative of the loss, whichever way it is found.
#include "subject.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace distill_test {
namespace {

using distill::temperature;
using exact = distill::scalar<double>;

const temperature temperatures[] = {temperature(1.0), temperature(2.0), temperature(0.7), temperature(2.0, 0.7),
                                    temperature(0.7, 3.0)};

// f'(x) by the five-point rule.
template <class Function>
double five_point(const Function& f, double step = 1e-3) {
    return (8.0 * (f(step) - f(-step)) - (f(2.0 * step) - f(-2.0 * step))) / (12.0 * step);
}

// ---- one entry ----

distill::entry<exact> entry_of(double log_p, double log_q) {
    return {.log_p = log_p,
            .p = std::exp(log_p),
            .log_q = log_q,
            .q = std::exp(log_q),
            .log_ratio = log_p - log_q,
            .difference = std::exp(log_q) * std::expm1(log_p - log_q)};
}

distill::token_entry<exact> token_entry_of(double log_p, double old_log_prob, double advantage,
                                           double teacher_log_prob = -2.0, double sequence_log_ratio = 0.1) {
    return {.log_p = log_p,
            .p = std::exp(log_p),
            .old_log_prob = old_log_prob,
            .teacher_log_prob = teacher_log_prob,
            .advantage = advantage,
            .sequence_log_ratio = sequence_log_ratio};
}

// A row for terms that depend on all of it, by plain loops.
struct plain_row {
    const std::vector<double>& log_p;
    const std::vector<double>& log_q;
    std::ptrdiff_t index = 0, vocabulary = static_cast<std::ptrdiff_t>(log_p.size());
    double largest_q = std::exp(*std::max_element(log_q.begin(), log_q.end()));

    template <std::size_t Count, class Function>
    std::array<double, Count> sums(const Function& function) const {
        std::array<double, Count> total{};
        for (std::size_t v = 0; v < log_p.size(); ++v) {
            const auto summands = function(entry_of(log_p[v], log_q[v]));
            for (std::size_t i = 0; i < Count; ++i) total[i] += summands[i].value;
        }
        return total;
    }
    template <class Function>
    double sum(const Function& function) const {
        return sums<1>([&](const auto& e) { return std::array{function(e)}; })[0];
    }
    template <class Function>
    std::int64_t find(double share, const Function& function) const {
        double total = 0.0;
        for (std::size_t v = 0; v < log_p.size(); ++v) {
            total += function(entry_of(log_p[v], log_q[v])).value;
            if (total > share) return static_cast<std::int64_t>(v);
        }
        return vocabulary - 1;
    }
};

template <class Term>
Term fitted(const Term& term, const plain_row& row) {
    if constexpr (distill::row_dependent_term<Term>)
        return term.for_row(row);
    else
        return term;
}

// The dual number's derivative of what a term calls its value, whether it gave a derivative of its own or not.
template <class Term, class Entry>
double derivative_by_dual_number(const Term& term, const Entry& e) {
    const auto answered = term(distill::differentiable(e));
    if constexpr (requires { answered.dlogp; })
        return answered.value.derivative.value;
    else
        return answered.derivative.value;
}

template <class Visitor>
void for_each_differentiated_term(const Visitor& visit) {
    for_each_listed(catalogue(), [&](const auto& entry) {
        if (entry.gradient == slope::detached) return;
        std::apply([&](const auto&... term) { (visit(entry.name, term.value), ...); }, detail::terms_of(entry.objective));
    });
}

TEST_CASE("one entry: the derivative by hand is that of a dual number and that of a difference quotient") {
    const double log_probabilities[] = {-0.05, -0.7, -1.1, -3.0, -7.0, -16.0};
    for_each_differentiated_term([&]<class Term>(const char* name, const Term& term) {
        CAPTURE(name);
        if constexpr (distill::detail::is_part<Term, distill::vocabulary_part>) {
            for (const double log_p : log_probabilities)
                for (const double log_q : {-0.02, -0.68, -1.3, -2.9, -6.0, -20.0}) {
                    CAPTURE(log_p);
                    CAPTURE(log_q);
                    const auto e = entry_of(log_p, log_q);
                    const auto s = distill::evaluate(term, e);
                    CHECK(deviation(derivative_by_dual_number(term, e), s.dlogp.value) <= tolerance::rounding);
                    const double slope = five_point(
                        [&](double step) { return distill::evaluate(term, entry_of(log_p + step, log_q)).value.value; });
                    CHECK(deviation(slope, s.dlogp.value) <= tolerance::finite_difference);
                }
        } else if constexpr (distill::detail::is_part<Term, distill::normalizer_part>) {
            for (const double log_normalizer : {-4.0, 0.0, 1.5, 20.0}) {
                const auto by_dual = term(distill::dual<exact>{log_normalizer, 1.0}).derivative.value;
                const double slope = five_point([&](double step) { return term(exact(log_normalizer + step)).value; });
                CHECK(deviation(slope, by_dual) <= tolerance::finite_difference);
            }
        } else {
            for (const double log_p : log_probabilities)
                for (const double log_ratio : {-25.0, -3.0, -0.4, 0.0, 0.1, 0.215, 0.5, 1.3, 25.0})
                    for (const double advantage : {-1.4, -0.3, 0.6, 2.0}) {
                        CAPTURE(log_p);
                        CAPTURE(log_ratio);
                        CAPTURE(advantage);
                        const auto e = token_entry_of(log_p, log_p - log_ratio, advantage);
                        const auto s = distill::evaluate(term, e);
                        CHECK(deviation(derivative_by_dual_number(term, e), s.dlogp.value) <= tolerance::rounding);
                        const double slope = five_point([&](double step) {
                            return distill::evaluate(term, token_entry_of(log_p + step, log_p - log_ratio, advantage))
                                .value.value;
                        });
                        CHECK(deviation(slope, s.dlogp.value) <= tolerance::finite_difference);
                    }
        }
    });
}

// ---- one row ----

TEST_CASE("the gradient is h - p sum h over T, with h the terms' own derivatives") {
    auto random = engine("laws: row program");
    for (const temperature& t : temperatures) {
        const filled_rows in = random_rows(random, 1, 19, 1.5, t);
        const auto log_p = log_softmax(in.student_row(0), in.vocabulary, t.student);
        const auto log_q = log_softmax(in.teacher_row(0), in.vocabulary, t.teacher);
        std::size_t next = 0;
        for_each_listed(catalogue(), [&](const auto& listed_entry) {
            std::vector<double> h(in.vocabulary, 0.0);
            double loss = 0.0, of_normalizer = 0.0;
            const auto add = [&]<class Term>(const distill::weighted<Term>& term) {
                const Term value = fitted(term.value, {log_p, log_q});
                if constexpr (distill::detail::is_part<Term, distill::vocabulary_part>) {
                    for (std::size_t v = 0; v < in.vocabulary; ++v) {
                        const auto s = distill::evaluate(value, entry_of(log_p[v], log_q[v]));
                        h[v] += term.weight * s.dlogp.value;
                        loss += term.weight * s.value.value;
                    }
                } else if constexpr (distill::detail::is_part<Term, distill::normalizer_part>) {
                    const double log_normalizer = in.student[0] / t.student - log_p[0];
                    const auto s = value(distill::dual<exact>{log_normalizer, 1.0});
                    of_normalizer += term.weight * s.derivative.value;
                    loss += term.weight * s.value.value;
                } else {
                    std::int64_t tokens[] = {in.tokens[0], in.teacher_tokens[0], in.labels[0], 0};
                    if constexpr (Term::token == distill::token_source::found_in_row) tokens[3] = value.found;
                    const auto v = static_cast<std::size_t>(tokens[static_cast<std::size_t>(Term::token)]);
                    const auto s =
                        distill::evaluate(value, token_entry_of(log_p[v], in.old_log_probs[0], in.advantages[0],
                                                                in.teacher_log_probs[0], in.sequence_log_ratios[0]));
                    h[v] += term.weight * s.dlogp.value;
                    loss += term.weight * s.value.value;
                }
            };
            std::apply([&](const auto&... term) { (add(term), ...); }, detail::terms_of(listed_entry.objective));
            double moment = 0.0;
            for (const double x : h) moment += x;
            std::vector<double> expected(in.vocabulary);
            for (std::size_t v = 0; v < in.vocabulary; ++v)
                expected[v] = (h[v] - std::exp(log_p[v]) * (moment - of_normalizer)) / t.student;

            const subject& s = subjects().at(next++);
            CAPTURE(s.name);
            CAPTURE(t.student);
            const answer found = s.on_reference(in, {.temperature = t});
            CHECK(deviation(found.result.value, loss) <= tolerance::rounding);
            CHECK(deviation(found.gradient, expected) <= tolerance::rounding);
        });
    }
}

TEST_CASE("the gradient is the difference quotient of the loss at every temperature, separate ones included") {
    auto random = engine("laws: finite difference");
    for (const temperature& t : temperatures) {
        filled_rows in = separated_rows(random, 6, 7, t);
        in.weights = {1.0, 0.5, 2.0, 0.25, 1.0, 3.0};
        for (const subject& s : subjects()) {
            if (s.is_detached()) continue;
            CAPTURE(s.name);
            CAPTURE(t.student);
            CAPTURE(t.teacher);
            const answer found = s.on_reference(in, {.temperature = t});
            std::vector<double> slopes(in.student.size());
            for (std::size_t i = 0; i < in.student.size(); ++i)
                slopes[i] = five_point([&](double step) {
                    filled_rows moved = in;
                    moved.student[i] += step;
                    return s.on_reference(moved, {.temperature = t}).result.value;
                });
            CHECK(deviation(found.gradient, slopes) <= tolerance::finite_difference);
        }
    }
}

TEST_CASE("the entries of a gradient sum to zero over the vocabulary") {
    auto random = engine("laws: sum");
    for (const std::size_t vocabulary : {2u, 16u, 61u, 3000u}) {
        const filled_rows in = random_rows(random, 2, vocabulary, 3.0);
        for (const subject& s : subjects()) {
            if (s.kind == nature::normalizer) continue;
            CAPTURE(s.name);
            CAPTURE(vocabulary);
            const auto largest_sum = [&](const answer& found) {
                double largest = 0.0;
                for (std::size_t row = 0; row < in.rows; ++row) {
                    double sum = 0.0, size = 2.0 + std::abs(found.row_losses[row]);
                    for (std::size_t v = 0; v < vocabulary; ++v) {
                        sum += found.gradient[row * vocabulary + v];
                        size += std::abs(found.gradient[row * vocabulary + v]);
                    }
                    largest = std::max(largest, std::abs(sum) / size);
                }
                return largest;
            };
            CHECK(largest_sum(s.on_reference(in, {})) <= tolerance::rounding);
            CHECK(largest_sum(s.on_eigen(in, {})) <= tolerance::single_gradient_sum);
        }
    }
}

TEST_CASE("adding a constant to a row of student or teacher logits changes nothing") {
    auto random = engine("laws: shift");
    const filled_rows in = separated_rows(random, 3, 23);
    for (const subject& s : subjects()) {
        if (s.kind == nature::normalizer) continue;
        CAPTURE(s.name);
        for (const temperature& t : temperatures) {
            const answer expected = s.on_reference(in, {.temperature = t});
            for (const double shift : {-37.5, 4.0, 250.0}) {
                CAPTURE(shift);
                filled_rows student = in, teacher = in;
                for (std::size_t v = 0; v < in.vocabulary; ++v) {
                    student.student_row(1)[v] += shift;
                    teacher.teacher_row(1)[v] += shift;
                }
                for (const filled_rows& shifted : {student, teacher}) {
                    const answer found = s.on_reference(shifted, {.temperature = t});
                    CHECK(deviation(found.row_losses, expected.row_losses) <= tolerance::rounding);
                    CHECK(deviation(found.gradient, expected.gradient) <= tolerance::rounding);
                }
            }
        }
    }
}

TEST_CASE("the z-loss's gradient sums to its slope, 2 log Z / T, and follows a constant added to the logits") {
    auto random = engine("laws: normaliser");
    const filled_rows in = random_rows(random, 3, 200, 2.0);
    const subject& s = named("z_loss");
    for (const temperature& t : temperatures) {
        const answer found = s.on_reference(in, {.temperature = t});
        filled_rows shifted = in;
        for (double& z : shifted.student) z += 3.0;
        const answer moved = s.on_reference(shifted, {.temperature = t});
        for (std::size_t row = 0; row < in.rows; ++row) {
            const double log_normalizer =
                in.student_row(row)[0] / t.student - log_softmax(in.student_row(row), in.vocabulary, t.student)[0];
            double sum = 0.0;
            for (std::size_t v = 0; v < in.vocabulary; ++v) sum += found.gradient[row * in.vocabulary + v];
            CHECK(deviation(sum, 2.0 * log_normalizer / t.student) <= tolerance::rounding);
            const double expected = log_normalizer + 3.0 / t.student;
            CHECK(deviation(moved.row_losses[row], expected * expected) <= tolerance::rounding);
        }
    }
}

TEST_CASE("one small step against the gradient lowers the loss, by the step times the squared norm") {
    auto random = engine("laws: descent");
    const filled_rows in = separated_rows(random, 6, 11, {}, 1.5, 0.1);
    constexpr double step = 1e-4;
    for (const subject& s : subjects()) {
        if (s.is_detached()) continue;
        CAPTURE(s.name);
        const answer before = s.on_reference(in, {});
        const double size = norm(before.gradient);
        REQUIRE(size > 1e-3);
        filled_rows moved = in;
        for (std::size_t i = 0; i < in.student.size(); ++i) moved.student[i] -= step * before.gradient[i];
        const double lowered = before.result.value - s.on_reference(moved, {}).result.value;
        CHECK(lowered > 0.0);
        CHECK(deviation(lowered / (step * size * size), 1.0) <= tolerance::descent);
    }
}

}  // namespace
}  // namespace distill_test
