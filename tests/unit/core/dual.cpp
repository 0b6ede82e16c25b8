#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack.hpp>
#include <distill/core/dual.hpp>
#include <distill/core/entry.hpp>
#include <distill/core/scalar.hpp>
#include <support/bits.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace {

using number = distill::scalar<double>;
using dual = distill::dual<number>;

dual variable(double x) { return {number(x), number(1.0)}; }

struct function {
    std::string name;
    std::function<dual(const dual&)> at;
    std::vector<double> places;
};

}  // namespace

TEST_CASE("every operation of a dual number carries its derivative") {
    const dual c(1.75);
    const std::vector<function> functions = {
        {"+", [&](const dual& x) { return x + c; }, {-2.0, 0.5}},
        {"-", [&](const dual& x) { return c - x; }, {-2.0, 0.5}},
        {"*", [&](const dual& x) { return x * x * c; }, {-2.0, 0.5}},
        {"/", [&](const dual& x) { return c / (x * x + dual(1.0)); }, {-2.0, 0.5}},
        {"unary -", [](const dual& x) { return -x; }, {0.3}},
        {"abs", [](const dual& x) { return abs(x); }, {-2.0, 0.5}},
        {"min", [&](const dual& x) { return min(x * x, c); }, {-0.5, 3.0}},
        {"max", [&](const dual& x) { return max(x * x, c); }, {-0.5, 3.0}},
        {"select", [&](const dual& x) { return select(x < c, x * x, exp(x)); }, {0.5, 3.0}},
        {"exp", [](const dual& x) { return exp(x); }, {-3.0, 0.0, 2.0}},
        {"expm1", [](const dual& x) { return expm1(x); }, {-3.0, 0.0, 2.0}},
        {"log", [](const dual& x) { return log(x); }, {1e-3, 1.0, 40.0}},
        {"log1p", [](const dual& x) { return log1p(x); }, {-0.9, 0.0, 40.0}},
        {"sqrt", [](const dual& x) { return sqrt(x); }, {1e-3, 1.0, 40.0}},
    };
    for (const function& f : functions)
        for (const double x : f.places) {
            CAPTURE(f.name);
            CAPTURE(x);
            const double h = 1e-6 * std::max(1e-3, std::abs(x));
            const double slope = (f.at(dual(x + h)).value.value - f.at(dual(x - h)).value.value) / (2 * h);
            CHECK(f.at(variable(x)).derivative.value == doctest::Approx(slope).epsilon(1e-6));
            CHECK(f.at(variable(x)).value.value == f.at(dual(x)).value.value);
            CHECK(f.at(dual(x)).derivative.value == 0.0);
        }
}

TEST_CASE("derivatives at probability zero are finite") {
    for (const dual& d : {log(variable(0.0)), sqrt(variable(0.0)), log1p(variable(-1.0))})
        CHECK(distill::is_finite(d.derivative.value));
    // p log p as a term writes it: dp = p, so nothing is left at p = 0.
    const dual p(number(0.0), number(0.0));
    CHECK((p * log(max(p, dual(1e-30)))).derivative.value == 0.0);
    CHECK(sqrt(p).derivative.value == 0.0);
}

TEST_CASE("the derivatives of a probability's logarithm and root are right down to the smallest float") {
    // d p = p: log p has slope 1, sqrt p slope sqrt p / 2.
    for (const double p : {1e-5, 1e-30, 1e-40, 1e-44}) {
        CAPTURE(p);
        if (distill_test::flushes_subnormals() && p < std::numeric_limits<float>::min()) continue;
        CHECK(log(dual(number(p), number(p))).derivative.value == doctest::Approx(1.0).epsilon(1e-14));
        using pack = distill::simd::pack<float, 4>;
        const distill::dual<pack> lanes{pack(p), pack(p)};
        CHECK(log(lanes).derivative.lanes[0] == doctest::Approx(1.0).epsilon(1e-6));
        CHECK(std::abs(static_cast<double>(sqrt(lanes).derivative.lanes[0]) - 0.5 * std::sqrt(p)) <=
              1e-6 * std::sqrt(p) + 1e-19);
    }
}

TEST_CASE("an entry as a function of log p has d log p = 1 and dp = p") {
    const distill::entry<number> e{
        .log_p = -1.5, .p = 0.25, .log_q = -2.0, .q = 0.125, .log_ratio = 0.5, .difference = 0.0625};
    const auto d = differentiable(e);
    CHECK(d.log_p.derivative.value == 1.0);
    CHECK(d.p.derivative.value == 0.25);
    CHECK(d.log_q.derivative.value == 0.0);
    CHECK(d.q.derivative.value == 0.0);
    CHECK(d.log_ratio.derivative.value == 1.0);
    CHECK(d.difference.derivative.value == 0.25);
    CHECK(d.log_p.value.value == -1.5);
    CHECK(d.difference.value.value == 0.0625);

    const distill::token_entry<number> t{
        .log_p = -1.5, .p = 0.25, .old_log_prob = -1.0, .teacher_log_prob = -3.0, .advantage = 2.0};
    const auto dt = differentiable(t);
    CHECK(dt.log_p.derivative.value == 1.0);
    CHECK(dt.p.derivative.value == 0.25);
    CHECK(dt.old_log_prob.derivative.value == 0.0);
    CHECK(dt.teacher_log_prob.value.value == -3.0);
    CHECK(dt.advantage.value.value == 2.0);
}

TEST_CASE("summands add and scale in value and derivative") {
    const distill::summand<number> a{.value = 1.0, .dlogp = 2.0}, b{.value = 0.5, .dlogp = -4.0};
    const auto sum = a + number(3.0) * b;
    CHECK(sum.value.value == 2.5);
    CHECK(sum.dlogp.value == -10.0);
}
