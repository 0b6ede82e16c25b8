// Every divergence once more, as a person writes it with whole-array expressions in double: an independent formulation of
// value and gradient, held against both backends on random batches at random temperatures.
#include <distill/distill.hpp>
#include <distill/interop/xtensor.hpp>

#include <doctest/doctest.h>

#include <support/comparisons.hpp>
#include <support/random.hpp>
#include <support/tolerances.hpp>

#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xsort.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include <cstddef>
#include <functional>
#include <random>
#include <span>
#include <vector>

namespace distill_test {
namespace {

using matrix = xt::xtensor<double, 2>;

// Sums over the vocabulary, [rows, 1].
matrix sum_of_rows(const matrix& x) { return xt::eval(xt::sum(x, {1}, xt::keep_dims)); }

matrix log_softmax_of(const matrix& logits, double temperature) {
    const matrix x = logits / temperature;
    const matrix shifted = x - xt::eval(xt::amax(x, {1}, xt::keep_dims));
    return shifted - xt::log(sum_of_rows(xt::exp(shifted)));
}

// Value of every entry, and the derivative of the row's loss with respect to p at every entry.
struct formulation {
    matrix values, by_p;
};

struct distributions {
    matrix p, q, log_p, log_q;
};

formulation forward_kl(const distributions& d) { return {d.q * (d.log_q - d.log_p), -d.q / d.p}; }
formulation reverse_kl(const distributions& d) { return {d.p * (d.log_p - d.log_q), d.log_p - d.log_q + 1.0}; }
formulation jensen_shannon(const distributions& d, double b) {
    const matrix m = b * d.q + (1.0 - b) * d.p;
    return {b * d.q * xt::log(d.q / m) + (1.0 - b) * d.p * xt::log(d.p / m), (1.0 - b) * xt::log(d.p / m)};
}
formulation total_variation(const distributions& d) { return {0.5 * xt::abs(d.p - d.q), 0.5 * xt::sign(d.p - d.q)}; }
formulation squared_hellinger(const distributions& d) {
    return {0.5 * xt::square(xt::sqrt(d.p) - xt::sqrt(d.q)), 0.5 * (1.0 - xt::sqrt(d.q / d.p))};
}
formulation skew_forward_kl(const distributions& d, double a) {
    const matrix m = a * d.q + (1.0 - a) * d.p;
    return {d.q * xt::log(d.q / m), -(1.0 - a) * d.q / m};
}
formulation skew_reverse_kl(const distributions& d, double a) {
    const matrix m = (1.0 - a) * d.q + a * d.p;
    return {d.p * xt::log(d.p / m), xt::log(d.p / m) + 1.0 - a * d.p / m};
}
formulation chi_squared(const distributions& d) { return {xt::square(d.p - d.q) / d.q, 2.0 * (d.p - d.q) / d.q}; }
formulation alpha_beta(const distributions& d, double a, double b) {
    const matrix both = xt::pow(d.q, a) * xt::pow(d.p, b);
    const matrix values = both - a / (a + b) * xt::pow(d.q, a + b) - b / (a + b) * xt::pow(d.p, a + b);
    return {values / (-a * b), (both - xt::pow(d.p, a + b)) / (-a * d.p)};
}
formulation todi(const distributions& d) {
    const matrix a = 1.0 / (1.0 + xt::exp(d.log_p - d.log_q));
    return {a * d.q * (d.log_q - d.log_p) + (1.0 - a) * d.p * (d.log_p - d.log_q),
            -a * d.q / d.p + (1.0 - a) * (d.log_p - d.log_q + 1.0)};
}
// The share of the gap |p - q| that lies on the teacher's head, one entry after the other, [rows, 1].
matrix gap_on_the_head(const distributions& d, double head_mass) {
    matrix share = xt::zeros<double>({d.q.shape()[0], std::size_t{1}});
    for (std::size_t row = 0; row < d.q.shape()[0]; ++row) {
        const xt::xtensor<double, 1> q = xt::row(d.q, static_cast<std::ptrdiff_t>(row)),
                                     gap = xt::abs(xt::row(d.p, static_cast<std::ptrdiff_t>(row)) - q);
        const auto ranked = xt::flip(xt::argsort(q), 0);
        double mass = 0.0, head = 0.0;
        for (const std::size_t v : ranked) {
            const bool first = mass == 0.0;
            mass += q(v);
            if (first || mass <= head_mass) head += gap(v);
        }
        share(row, 0) = head / xt::sum(gap)();
    }
    return share;
}
formulation adaptive_kl(const distributions& d, double head_mass) {
    const formulation f = forward_kl(d), r = reverse_kl(d);
    const matrix w = gap_on_the_head(d, head_mass);
    return {w * f.values + (1.0 - w) * r.values, w * f.by_p + (1.0 - w) * r.by_p};
}
formulation uniform_cross_entropy(const distributions& d) {
    const auto entries = static_cast<double>(d.p.shape()[1]);
    return {-d.log_p / entries, -1.0 / (entries * d.p)};
}
formulation entropy(const distributions& d) { return {-d.p * d.log_p, -d.log_p - 1.0}; }
formulation mixture(const distributions& d) {
    const formulation f = forward_kl(d), r = reverse_kl(d), j = jensen_shannon(d, 0.3);
    return {0.4 * f.values + 0.1 * r.values + 3.0 * j.values, 0.4 * f.by_p + 0.1 * r.by_p + 3.0 * j.by_p};
}

// dL/dz_j = p_j (l_j - sum_v p_v l_v) / T, with l the derivative with respect to p.
matrix gradient_of(const formulation& f, const matrix& p, double temperature) {
    return p * (f.by_p - sum_of_rows(p * f.by_p)) / temperature;
}

struct found {
    std::vector<double> row_losses, gradient;
};

template <class Element, class Objective, class Backend>
found call(const Objective& objective, const Backend& backend, const matrix& student, const matrix& teacher,
           const distill::temperature& t) {
    const xt::xtensor<Element, 2> z = xt::cast<Element>(student), w = xt::cast<Element>(teacher);
    xt::xtensor<Element, 2> dz = xt::zeros<Element>(z.shape());
    const distill::batch<Element> in{.student = distill::view_of(z), .teacher = distill::view_of(w)};
    const distill::loss f{objective, backend, distill::token_sum{}, t};
    std::vector<double> row_losses(student.shape()[0]);
    f.per_token(in, std::span(row_losses), distill::view_of(dz));
    return {row_losses, std::vector<double>(dz.begin(), dz.end())};
}

struct problem {
    matrix student, teacher;
    distill::temperature t;
    distributions d;
};

std::vector<problem> problems() {
    auto random = engine("oracle: xtensor");
    std::uniform_real_distribution<double> temperature(0.5, 3.0);
    std::vector<problem> drawn;
    for (const std::size_t vocabulary : {2u, 19u, 64u, 515u}) {
        const std::vector<std::size_t> shape = {4, vocabulary};
        problem next;
        // Exact in float, so that every storage type holds the same logits.
        next.student = xt::cast<float>(xt::adapt(normal(random, 4 * vocabulary, 1.5), shape));
        next.teacher = xt::cast<float>(xt::adapt(normal(random, 4 * vocabulary, 1.5), shape));
        next.t = distill::temperature(temperature(random), temperature(random));
        next.d.log_p = log_softmax_of(next.student, next.t.student);
        next.d.log_q = log_softmax_of(next.teacher, next.t.teacher);
        next.d.p = xt::exp(next.d.log_p);
        next.d.q = xt::exp(next.d.log_q);
        drawn.push_back(next);
    }
    return drawn;
}

template <class Objective>
void hold(const Objective& objective, const std::function<formulation(const distributions&)>& formulated) {
    for (const problem& one : problems()) {
        CAPTURE(one.student.shape()[1]);
        const formulation f = formulated(one.d);
        const matrix losses = sum_of_rows(f.values), gradient = gradient_of(f, one.d.p, one.t.student);
        const std::vector<double> row_losses(losses.begin(), losses.end()), dz(gradient.begin(), gradient.end());
        const found on_reference = call<double>(objective, distill::reference{}, one.student, one.teacher, one.t);
        CHECK(deviation(on_reference.row_losses, row_losses) <= tolerance::rounding);
        CHECK(deviation(on_reference.gradient, dz) <= tolerance::rounding);
        const found on_eigen = call<float>(objective, distill::eigen{}, one.student, one.teacher, one.t);
        CHECK(deviation(on_eigen.row_losses, row_losses) <= tolerance::golden_single);
        // Of the whole gradient: where one entry is large, p H rounds in all of them.
        CHECK(norm_error(on_eigen.gradient, dz) <= tolerance::golden_single);
    }
}

// Objectives of one type, so that one row program per backend serves them all: `shared` with the coefficient of `Term` set.
template <class Term>
auto alone(const Term& term, double weight = 1.0) {
    const auto shared = 0.0 * distill::forward_kl{} + 0.0 * distill::reverse_kl{} + 0.0 * distill::jensen_shannon{} +
                        0.0 * distill::total_variation{} + 0.0 * distill::squared_hellinger{} +
                        0.0 * distill::skew_forward_kl{} + 0.0 * distill::skew_reverse_kl{} + 0.0 * distill::chi_squared{} +
                        0.0 * distill::alpha_beta{} + 0.0 * distill::todi{} + 0.0 * distill::entropy{} +
                        0.0 * distill::adaptive_kl{} + 0.0 * distill::uniform_cross_entropy{};
    auto chosen = shared;
    std::get<distill::weighted<Term>>(std::get<0>(chosen.groups).terms) = {weight, term};
    return chosen;
}

TEST_CASE("every divergence agrees with its textbook formulation in xtensor, value and gradient") {
    hold(alone(distill::forward_kl{}), forward_kl);
    hold(alone(distill::reverse_kl{}), reverse_kl);
    for (const double b : {0.1, 0.5, 0.9})
        hold(alone(distill::jensen_shannon{b}), [b](const distributions& d) { return jensen_shannon(d, b); });
    hold(alone(distill::total_variation{}), total_variation);
    hold(alone(distill::squared_hellinger{}), squared_hellinger);
    for (const double a : {0.1, 0.5}) {
        hold(alone(distill::skew_forward_kl{a}), [a](const distributions& d) { return skew_forward_kl(d, a); });
        hold(alone(distill::skew_reverse_kl{a}), [a](const distributions& d) { return skew_reverse_kl(d, a); });
    }
    hold(alone(distill::chi_squared{}), chi_squared);
    for (const auto& [a, b] : {std::pair(0.2, 0.7), std::pair(0.5, 0.5), std::pair(2.0, 0.25)})
        hold(alone(distill::alpha_beta{a, b}), [a = a, b = b](const distributions& d) { return alpha_beta(d, a, b); });
    hold(alone(distill::todi{}), todi);
    hold(alone(distill::entropy{}), entropy);
    for (const double mu : {0.25, 0.5, 0.9})
        hold(alone(distill::adaptive_kl{mu}), [mu](const distributions& d) { return adaptive_kl(d, mu); });
    hold(alone(distill::uniform_cross_entropy{}), uniform_cross_entropy);
    hold(0.4 * distill::forward_kl{} + 0.1 * distill::reverse_kl{} + 3.0 * distill::jensen_shannon{0.3}, mixture);
}

}  // namespace
}  // namespace distill_test
