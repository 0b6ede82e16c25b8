// Every number that a term is handed is finite, whatever the logits.
#include <distill/distill.hpp>

#include <support/bits.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace {

// Counts the numbers of an entry that are not finite.
struct counts_nonfinite : distill::term<counts_nonfinite> {
    static constexpr distill::fields needs = distill::fields::teacher;

    template <class T>
    distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T zero(0.0), one(1.0);
        T count = zero;
        for (const T& x : {e.log_p, e.p, e.log_q, e.q, e.log_ratio, e.difference})
            count = count + select(abs(x) <= T(3.4e38), zero, one);
        return {.value = count, .dlogp = zero};
    }
};

}  // namespace

TEST_CASE("a term sees no NaN and no infinity, in rows of infinite, huge and tiny logits and beside rows of NaN") {
    auto random = distill_test::engine("finite entries");
    const std::array<float, 12> finite{0.0f,  1.0f, -1.0f, 1e-40f,   -1e-40f, 1e4f,
                                       -1e4f, 6e4f, -6e4f, -0x1p99f, 0x1p99f, 30.0f};
    const std::array<float, 3> poison{distill_test::float_of(0x7fc00000u), distill_test::float_of(0xffc00000u),
                                      distill_test::float_of(0x7f800000u)};
    const float minus_infinity = distill_test::float_of(0xff800000u);
    std::uniform_int_distribution<std::size_t> any_finite(0, finite.size() - 1), any_poison(0, poison.size() - 1);
    std::uniform_int_distribution<int> dice(0, 5);
    for (const std::ptrdiff_t vocabulary : {1, 7, 33, 1025}) {
        constexpr std::ptrdiff_t rows = 40;
        const auto row_of = [&](std::ptrdiff_t i) { return i / vocabulary; };
        const auto logits = [&](int poisoned_row) {
            std::vector<float> z(static_cast<std::size_t>(rows * vocabulary));
            for (std::size_t i = 0; i < z.size(); ++i) {
                const std::ptrdiff_t row = row_of(static_cast<std::ptrdiff_t>(i));
                const bool first = static_cast<std::ptrdiff_t>(i) == row * vocabulary;
                // At least one entry of a row is not masked.
                z[i] = !first && dice(random) == 0 ? minus_infinity : finite[any_finite(random)];
                if (row % 10 == poisoned_row && first) z[i] = poison[any_poison(random)];
            }
            return z;
        };
        const std::vector<float> student = logits(3), teacher = logits(7);
        std::vector<double> counts(rows);
        const auto check = [&](const auto& backend) {
            distill::loss{counts_nonfinite{}, backend, distill::token_sum{}}.per_token(
                distill::batch<float>{.student = {student.data(), rows, vocabulary},
                                      .teacher = {teacher.data(), rows, vocabulary}},
                std::span(counts));
            for (std::size_t row = 0; row < counts.size(); ++row) {
                CAPTURE(row);
                if (row % 10 == 3 || row % 10 == 7)
                    CHECK(distill::is_nan(counts[row]));
                else
                    CHECK(counts[row] == 0.0);
            }
        };
        CAPTURE(vocabulary);
        check(distill::eigen{});
        check(distill::eigen{distill::instruction_set::baseline});
        check(distill::reference{});
    }
}
