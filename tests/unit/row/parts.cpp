// A row in parts of its vocabulary: the three phases of the row program, with merged records between them, find the loss and
// the gradient of the whole row, wherever it is cut.
#include <distill/backend/simd/team.hpp>
#include <distill/distill.hpp>
#include <distill/row/row_program.hpp>
#include <support/bits.hpp>
#include <support/random.hpp>
#include <support/tolerances.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace {

using namespace distill;
namespace tolerance = distill_test::tolerance;

constexpr double row_weight = 0.75;
constexpr temperature of_row{1.3, 0.8};

struct one_row {
    std::vector<float> z, w;
    std::int64_t token = 0, label = 0;

    [[nodiscard]] std::ptrdiff_t size() const { return static_cast<std::ptrdiff_t>(z.size()); }
};

struct answer {
    double loss = 0.0;
    bool finite = true;
    std::vector<double> gradient{};
};

// Part i has the entries [cuts[i], cuts[i + 1]) and a team of its own.
using cut_places = std::vector<std::ptrdiff_t>;

template <class Element, class TeamOfPart, class Objective>
DISTILL_INLINE answer in_parts(const TeamOfPart& team_of_part, const Objective& objective, const one_row& in,
                               const cut_places& cuts) {
    using team = decltype(team_of_part(std::size_t{}));
    using destination = row::row_gradient<Element>;
    using input = row::row_input<const float*, const float*>;
    using program = row::row_program<team, Objective, const float*, const float*, destination>;
    using traits = row::objective_traits<Objective>;
    static_assert(program::may_come_in_parts);
    static_assert(std::is_trivially_copyable_v<row::scan_record<traits>> &&
                  std::is_trivially_copyable_v<row::sum_record<traits>>);

    const auto temperatures = row::group_temperatures(objective, of_row);
    std::vector<program> parts;
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
        parts.emplace_back(team_of_part(i), objective, temperatures,
                           input{.student = in.z.data() + cuts[i],
                                 .teacher = in.w.data() + cuts[i],
                                 .vocabulary = cuts[i + 1] - cuts[i],
                                 .first = cuts[i],
                                 .sampled_token = in.token,
                                 .label = in.label,
                                 .old_log_prob = -2.0,
                                 .knows_teacher_log_prob = false,
                                 .advantage = 0.7});
    auto scanned = parts[0].scan();
    for (std::size_t i = 1; i < parts.size(); ++i) scanned = parts[0].merge(scanned, parts[i].scan());
    for (program& part : parts) part.set_scan(scanned);

    row::sum_record<traits> sums;
    if (parts[0].wants_sums()) {
        sums = parts[0].sum();
        for (std::size_t i = 1; i < parts.size(); ++i) sums = merge(sums, parts[i].sum());
    }

    answer found;
    std::vector<Element> gradient(in.z.size(), Element(9));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        double value = 0.0;
        const row::row_outcome outcome =
            parts[i].write(destination{gradient.data() + cuts[i], row_weight, false}, sums, value);
        if (i > 0) CHECK(outcome.finite == found.finite);
        found.finite = outcome.finite;
        found.loss += (i == 0 ? outcome.loss : 0.0) + value;
    }
    found.gradient.assign(gradient.begin(), gradient.end());
    return found;
}

template <class Objective>
answer whole(const Objective& objective, const one_row& in) {
    const std::vector<double> z(in.z.begin(), in.z.end()), w(in.w.begin(), in.w.end()), weights{row_weight};
    const std::vector<std::int64_t> tokens{in.token}, labels{in.label};
    const std::vector<double> old_log_probs{-2.0}, advantages{0.7};
    batch<double> call{.student = {z.data(), 1, in.size()}, .teacher = {w.data(), 1, in.size()}};
    call.weights = weights;
    call.tokens = tokens;
    call.labels = labels;
    call.old_log_probs = old_log_probs;
    call.advantages = advantages;
    answer found;
    found.gradient.resize(z.size());
    const auto result = loss{objective, reference{}, token_sum{}, of_row}(call, {found.gradient.data(), 1, in.size()});
    found.loss = result.value / row_weight;
    found.finite = result.nonfinite_rows == 0;
    return found;
}

void check_close(const answer& found, const answer& expected, double of_loss, double of_gradient) {
    CHECK(found.finite == expected.finite);
    if (!expected.finite) return;
    CHECK(std::abs(found.loss - expected.loss) <= of_loss * (1.0 + std::abs(expected.loss)));
    double error = 0.0, size = 0.0;
    for (std::size_t v = 0; v < expected.gradient.size(); ++v) {
        error += (found.gradient[v] - expected.gradient[v]) * (found.gradient[v] - expected.gradient[v]);
        size += expected.gradient[v] * expected.gradient[v];
    }
    CHECK(std::sqrt(error) <= of_gradient * (std::sqrt(size) + 1e-3));
}

template <class Objective>
struct parts_in_float {
    const Objective& objective;
    const one_row& in;
    const cut_places& cuts;
    answer* found;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        std::vector<std::vector<float>> scratch;
        for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
            scratch.emplace_back(static_cast<std::size_t>(cuts[i + 1] - cuts[i]));
        *found = in_parts<float>([&](std::size_t i) { return simd::team<float, Bytes / 4>{{}, scratch[i].data()}; },
                                 objective, in, cuts);
    }
};

// Halves, an empty part at each end and inside, single entries, and one part.
std::vector<cut_places> cuts_of(std::ptrdiff_t n) {
    return {{0, n}, {0, n / 2, n}, {0, 0, n / 3, n / 3, n - n / 4, n, n}, {0, 1, n - 1, n}};
}

template <class... Term>
void check_everywhere(const one_row& in, const Term&... terms) {
    const auto check = [&](const auto& term) {
        const auto objective = as_objective(term);
        const answer expected = whole(objective, in);
        for (const cut_places& cuts : cuts_of(in.size())) {
            CAPTURE(cuts.size());
            check_close(in_parts<double>([](std::size_t) { return row::single_lane{}; }, objective, in, cuts), expected,
                        tolerance::rounding, tolerance::rounding);
        }
    };
    (check(terms), ...);
}

template <class Objective>
void check_in_float(const one_row& in, const Objective& term) {
    const auto objective = as_objective(term);
    const answer expected = whole(objective, in);
    for (const cut_places& cuts : cuts_of(in.size()))
        distill_test::on_every_set([&](instruction_set set) {
            CAPTURE(cuts.size());
            answer found;
            simd::dispatch(set, parts_in_float<std::remove_const_t<decltype(objective)>>{objective, in, cuts, &found});
            check_close(found, expected, tolerance::single_loss, tolerance::single_gradient);
        });
}

one_row random_row(const char* name, std::size_t length) {
    auto random = distill_test::engine(name);
    one_row in;
    for (auto* side : {&in.z, &in.w})
        for (const double x : distill_test::normal(random, length, 2.5)) side->push_back(static_cast<float>(x));
    in.token = static_cast<std::int64_t>(length / 2);
    in.label = static_cast<std::int64_t>(length) - 1;
    return in;
}

// Every kind of term: with H 0, H known from the scan, H summed; tokens given, predicted and of a label; the normaliser; two
// temperatures.
void check_terms(const one_row& in) {
    check_everywhere(in, forward_kl{}, reverse_kl{}, 0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.4},
                     entropy{} - 0.5 * total_variation{}, teacher_guidance{} + 0.1 * z_loss{},
                     at_temperature(temperature{2.0}, forward_kl{}) + cross_entropy{} + policy_gradient{},
                     reverse_kl{} + log_ratio_advantage{} + teacher_guidance{});
    check_in_float(in, reverse_kl{} + 0.5 * teacher_guidance{});
    check_in_float(in, jensen_shannon{0.4} + cross_entropy{});
}

TEST_CASE("parts of a row find what the whole row finds") {
    for (const std::size_t length : {2u, 37u, 3000u, 20000u}) {
        CAPTURE(length);
        check_terms(random_row("parts of a row", length));
    }
}

TEST_CASE("parts that a mask covers as a whole are parts like any other") {
    one_row in = random_row("masked parts of a row", 6000);
    for (const bool of_student : {true, false})
        for (const std::size_t begin : {std::size_t{0}, in.z.size() / 2}) {
            one_row masked = in;
            auto& side = of_student ? masked.z : masked.w;
            std::fill_n(side.begin() + static_cast<std::ptrdiff_t>(begin), side.size() / 2,
                        static_cast<float>(distill_test::infinite(true)));
            masked.token = masked.label = static_cast<std::int64_t>(begin == 0 ? in.z.size() - 1 : 0);
            check_everywhere(masked, forward_kl{}, reverse_kl{}, jensen_shannon{}, entropy{}, cross_entropy{});
        }
}

TEST_CASE("of equal largest logits in several parts the lowest id is the teacher's token") {
    one_row in = random_row("ties across parts", 4000);
    for (const std::size_t v : {1500u, 1999u, 2000u, 3999u}) in.w[v] = 30.0f;
    check_everywhere(in, teacher_guidance{}, forward_kl{} + teacher_guidance{});
}

TEST_CASE("a NaN in one part makes the row one that is not finite, in all") {
    for (const std::size_t v : {0u, 1700u, 2999u}) {
        one_row in = random_row("NaN in a part", 3000);
        in.z[v] = static_cast<float>(quiet_nan());
        check_everywhere(in, forward_kl{}, reverse_kl{}, jensen_shannon{} + cross_entropy{});
    }
}

}  // namespace
