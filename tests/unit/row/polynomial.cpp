// Polynomials of every length agree with Horner's scheme.
#include <distill/core/scalar.hpp>
#include <distill/row/polynomial.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

namespace {

using number = distill::scalar<double>;

template <class... Rest>
double horner(double x, double first, Rest... rest) {
    if constexpr (sizeof...(rest) == 0)
        return first;
    else
        return first + x * horner(x, rest...);
}

template <class... Coefficients>
void check(Coefficients... coefficients) {
    for (const double x : {-1.5, -0.25, 0.0, 0.125, 2.0})
        CHECK(distill::polynomial(number(x), coefficients...).value ==
              doctest::Approx(horner(x, coefficients...)).epsilon(1e-15));
}

}  // namespace

TEST_CASE("a polynomial of any length is the sum of its coefficients times powers") {
    check(3.0);
    check(3.0, -2.0);
    check(3.0, -2.0, 0.5);
    check(3.0, -2.0, 0.5, 7.0);
    check(3.0, -2.0, 0.5, 7.0, -11.0);
    check(3.0, -2.0, 0.5, 7.0, -11.0, 13.0, 0.25, -1.0);
    static_assert(distill::polynomial(number(2.0), 1.0, 1.0, 1.0).value == 7.0);
}
