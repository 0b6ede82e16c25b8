#include <distill/reduction/normalized_by.hpp>
#include <distill/reduction/sequence_mean.hpp>
#include <distill/reduction/sequence_mean_of_sums.hpp>
#include <distill/reduction/token_mean.hpp>
#include <distill/reduction/token_sum.hpp>

#include <support/bits.hpp>

#include <doctest/doctest.h>

#include <cstdint>

namespace {

constexpr distill::row_totals totals{.weight = 12.5, .active_rows = 7, .active_sequences = 3};

// The denominator without the caller's, and the factor of a row in a sequence of weight 4.
template <class Reduction>
void check(double denominator, double factor) {
    static_assert(distill::reduction<Reduction>);
    CHECK(Reduction{}.denominator(totals) == denominator);
    CHECK(Reduction{}.sequence_factor(4.0) == factor);
    CHECK(Reduction{}.domain_error() == nullptr);
    CHECK(Reduction{64.0}.denominator(totals) == 64.0);
    CHECK(Reduction{64.0}.sequence_factor(4.0) == factor);
    CHECK(Reduction{64.0}.domain_error() == nullptr);
}

}  // namespace

TEST_CASE("a reduction's factor and denominator are its definition's, or the caller's denominator") {
    check<distill::token_mean>(12.5, 1.0);
    check<distill::token_sum>(1.0, 1.0);
    check<distill::sequence_mean>(3.0, 0.25);
    check<distill::sequence_mean_of_sums>(3.0, 1.0);
    static_assert(distill::reduction<distill::normalized_by>);
    CHECK(distill::normalized_by{9.0}.denominator(totals) == 9.0);
    CHECK(distill::normalized_by{9.0}.sequence_factor(4.0) == 1.0);
}

TEST_CASE("only the means over sequences need sequences") {
    CHECK_FALSE(distill::token_mean::needs_sequences);
    CHECK_FALSE(distill::token_sum::needs_sequences);
    CHECK_FALSE(distill::normalized_by::needs_sequences);
    CHECK(distill::sequence_mean::needs_sequences);
    CHECK(distill::sequence_mean_of_sums::needs_sequences);
}

TEST_CASE("a denominator is finite and positive") {
    for (const double d : {0.0, -0.0, -1.0, distill::quiet_nan(), distill_test::infinite()}) {
        CHECK(distill::token_mean{d}.domain_error() != nullptr);
        CHECK(distill::normalized_by{d}.domain_error() != nullptr);
    }
}
