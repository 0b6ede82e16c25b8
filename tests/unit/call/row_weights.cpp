// Row weights, against a naive computation of them.
#include <distill/call/row_loop.hpp>
#include <distill/call/row_weights.hpp>
#include <distill/reduction/sequence_mean.hpp>
#include <distill/reduction/sequence_mean_of_sums.hpp>
#include <distill/reduction/token_mean.hpp>
#include <support/bits.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

using batch = distill::batch<float>;

// Rows in sequences of random lengths, some empty, some masked altogether.
struct example {
    std::vector<float> weights{};
    std::vector<std::int32_t> labels{}, offsets{0};

    explicit example(std::mt19937& random) {
        std::uniform_int_distribution<int> length(0, 5), chance(0, 5);
        for (int s = 0; s < 8; ++s) {
            const bool masked = chance(random) == 0;
            for (int i = length(random); i > 0; --i) {
                weights.push_back(masked || chance(random) == 0 ? 0.0f : static_cast<float>(chance(random)) + 0.5f);
                labels.push_back(chance(random) == 0 ? -100 : 3);
            }
            offsets.push_back(static_cast<std::int32_t>(weights.size()));
        }
    }
    [[nodiscard]] batch view() const {
        batch in;
        in.student.rows = static_cast<std::ptrdiff_t>(weights.size());
        in.weights = weights;
        in.labels = labels;
        in.sequence_offsets = offsets;
        return in;
    }
    [[nodiscard]] double own(std::size_t row) const { return labels[row] == -100 ? 0.0 : static_cast<double>(weights[row]); }
    [[nodiscard]] double of_sequence(std::size_t row) const {
        std::size_t s = 0;
        while (static_cast<std::size_t>(offsets[s + 1]) <= row) ++s;
        double sum = 0.0;
        for (auto i = static_cast<std::size_t>(offsets[s]); i < static_cast<std::size_t>(offsets[s + 1]); ++i) sum += own(i);
        return sum;
    }
};

bool equal_to_rounding(double found, double expected) { return std::abs(found - expected) <= 4e-16 * expected; }

template <class Reduction, class Expected>
void check(const Expected& expected) {
    auto random = distill_test::engine("row weights");
    const Reduction reduction;
    for (int repetition = 0; repetition < 40; ++repetition) {
        const example e(random);
        const batch in = e.view();
        const distill::call::row_weigher<batch, Reduction> weigher(in, reduction);
        int wrong = 0;
        for (std::ptrdiff_t first = 0; first < in.student.rows; ++first) {
            typename decltype(weigher)::cursor cursor(weigher, first);
            for (std::ptrdiff_t row = first; row < in.student.rows; ++row)
                // Under -ffast-math a division and a multiplication by the reciprocal are the same.
                wrong += equal_to_rounding(cursor.weight(row), expected(e, static_cast<std::size_t>(row))) ? 0 : 1;
        }
        CHECK(wrong == 0);

        const distill::row_totals totals = weigher.totals();
        double weight = 0.0;
        std::ptrdiff_t active = 0, sequences = 0;
        for (std::size_t s = 0; s + 1 < e.offsets.size(); ++s) {
            bool any = false;
            for (auto i = static_cast<std::size_t>(e.offsets[s]); i < static_cast<std::size_t>(e.offsets[s + 1]); ++i) {
                weight += e.own(i);
                active += e.own(i) != 0.0 ? 1 : 0;
                any = any || e.own(i) != 0.0;
            }
            sequences += any ? 1 : 0;
        }
        CHECK(totals.weight == doctest::Approx(weight).epsilon(1e-14));
        CHECK(totals.active_rows == active);
        CHECK(totals.active_sequences == (Reduction::needs_sequences ? sequences : 0));
    }
}

}  // namespace

TEST_CASE("a row's share of its sequence is right for subnormal weights, whose inverse overflows") {
    const bool flushes = distill_test::flushes_subnormals();
    for (const double weight : {5e-324, 1e-310, 1e-307, 1e300}) {
        if (flushes && weight < std::numeric_limits<double>::min()) continue;
        CHECK(distill::call::weight_in_sequence(distill::sequence_mean{}, weight, 4.0 * weight) == doctest::Approx(0.25));
    }
    CHECK(distill::call::weight_in_sequence(distill::sequence_mean{}, 0.0, 1.0) == 0.0);
    if (!flushes) CHECK(distill::call::weight_in_sequence(distill::sequence_mean_of_sums{}, 1e-310, 1e-309) == 1e-310);
}

TEST_CASE("a cursor answers every row's weight from whichever row it starts") {
    check<distill::token_mean>([](const example& e, std::size_t row) { return e.own(row); });
    check<distill::sequence_mean_of_sums>([](const example& e, std::size_t row) { return e.own(row); });
    check<distill::sequence_mean>([](const example& e, std::size_t row) {
        const double own = e.own(row);
        return own == 0.0 ? 0.0 : own * (1.0 / e.of_sequence(row));
    });
}

TEST_CASE("rows without weights and labels weigh 1; an ignored label masks a row without a weight") {
    batch in;
    in.student.rows = 5;
    const distill::token_mean reduction;
    const distill::call::row_weigher<batch, distill::token_mean> weigher(in, reduction);
    CHECK(weigher.totals().weight == 5.0);
    CHECK(weigher.totals().active_rows == 5);
    CHECK(weigher.own_weight(4) == 1.0);
    const std::vector<std::int32_t> labels{1, 2, 3, -100, 0};
    in.labels = labels;
    CHECK(weigher.totals().weight == 4.0);
    CHECK(weigher.own_weight(3) == 0.0);
}

TEST_CASE("blocks of rows cover every row once, in order, and are never too many") {
    for (const std::ptrdiff_t rows : {0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, 65537}) {
        CAPTURE(rows);
        const distill::call::row_blocks blocks{rows};
        CHECK(blocks.count() <= distill::call::max_blocks);
        std::ptrdiff_t next = 0;
        bool ordered = true;
        for (std::ptrdiff_t b = 0; b < blocks.count(); ++b) {
            ordered = ordered && blocks.begin(b) == next && blocks.end(b) > blocks.begin(b);
            next = blocks.end(b);
        }
        CHECK(ordered);
        CHECK(next == rows);
    }
}
