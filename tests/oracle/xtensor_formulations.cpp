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
        CHECK(deviation(on_eigen.gradient, dz) <= tolerance::golden_single);
    }
}

// Objectives of one type, so that one row program per backend serves them all.
auto weighted_sum(double forward, double reverse, double jensen, double b, double variation, double hellinger,
                  double bonus) {
    return forward * distill::forward_kl{} + reverse * distill::reverse_kl{} + jensen * distill::jensen_shannon{b} +
           variation * distill::total_variation{} + hellinger * distill::squared_hellinger{} + bonus * distill::entropy{};
}

TEST_CASE("every divergence agrees with its textbook formulation in xtensor, value and gradient") {
    hold(weighted_sum(1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0), forward_kl);
    hold(weighted_sum(0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0), reverse_kl);
    for (const double b : {0.1, 0.5, 0.9})
        hold(weighted_sum(0.0, 0.0, 1.0, b, 0.0, 0.0, 0.0), [b](const distributions& d) { return jensen_shannon(d, b); });
    hold(weighted_sum(0.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.0), total_variation);
    hold(weighted_sum(0.0, 0.0, 0.0, 0.5, 0.0, 1.0, 0.0), squared_hellinger);
    hold(weighted_sum(0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0), entropy);
    hold(weighted_sum(0.4, 0.1, 3.0, 0.3, 0.0, 0.0, 0.0), mixture);
}

}  // namespace
}  // namespace distill_test
