// From rewards, entropies and log-probabilities to the arrays of a batch.
#include <distill/core/number.hpp>
#include <distill/training/gate.hpp>
#include <distill/training/group_advantages.hpp>
#include <distill/training/padded_batch.hpp>
#include <distill/training/sequence_means.hpp>
#include <distill/training/shape_advantages.hpp>

#include <support/bits.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

template <class Call>
std::string refusal(const Call& call) {
    try {
        call();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "accepted";
}

const std::vector<double> values{1.0, 3.0, 5.0, -2.0, 4.0, 0.5};
const std::vector<std::int32_t> offsets{0, 3, 3, 5, 6};

}  // namespace

TEST_CASE("every row gets the mean of its sequence, also in place, and weighted") {
    std::vector<double> means(6);
    distill::sequence_means(values, offsets, std::span(means));
    CHECK(means == std::vector<double>{3.0, 3.0, 3.0, 1.0, 1.0, 0.5});

    std::vector<double> in_place = values;
    distill::sequence_means(in_place, offsets, std::span(in_place));
    CHECK(in_place == means);

    std::vector<double> with_nan = values;
    with_nan[1] = distill::quiet_nan();
    std::vector<float> weighted(6);
    distill::sequence_means(with_nan, offsets, std::span(weighted), std::vector<float>{1.0f, 0.0f, 3.0f, 0.0f, 0.0f, 2.0f});
    CHECK(weighted == std::vector<float>{4.0f, 4.0f, 4.0f, 0.0f, 0.0f, 0.5f});
}

TEST_CASE("what is known per sequence is spread over its rows") {
    std::vector<float> rows(6);
    distill::spread_over_rows(std::vector<float>{1.0f, 9.0f, 0.0f, -1.0f}, offsets, std::span(rows));
    CHECK(rows == std::vector<float>{1.0f, 1.0f, 1.0f, 0.0f, 0.0f, -1.0f});
}

TEST_CASE("gates are 1 strictly beyond their threshold") {
    std::vector<float> out(6);
    distill::gate_above(values, 3.0, std::span(out));
    CHECK(out == std::vector<float>{0.0f, 0.0f, 1.0f, 0.0f, 1.0f, 0.0f});
    distill::gate_below(values, 1.0, std::span(out));
    CHECK(out == std::vector<float>{0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 1.0f});
}

TEST_CASE("the failure gate is the sigmoid of the negative advantage, at any size of it") {
    const std::vector<double> advantages{0.0, 1.0, -1.0, 800.0, -800.0};
    std::vector<double> out(5);
    distill::gate_by_failure(advantages, std::span(out));
    CHECK(out[0] == 0.5);
    CHECK(out[1] == doctest::Approx(1.0 / (1.0 + std::exp(1.0))).epsilon(1e-14));
    CHECK(out[1] + out[2] == doctest::Approx(1.0).epsilon(1e-15));
    CHECK(out[3] == 0.0);
    CHECK(out[4] == 1.0);
}

TEST_CASE("a quantile lies between the sorted values that count") {
    CHECK(distill::quantile(values, 0.0) == -2.0);
    CHECK(distill::quantile(values, 1.0) == 5.0);
    CHECK(distill::quantile(values, 0.5) == 2.0);
    CHECK(distill::quantile(values, 0.8, std::vector<double>{0.0, 1.0, 0.0, 0.0, 0.0, 0.0}) == 3.0);
    CHECK(refusal([] { static_cast<void>(distill::quantile({}, 0.5)); }) == "distill: a quantile of no values");
    CHECK(refusal([] { static_cast<void>(distill::quantile(values, 1.5)); }) ==
          "distill: share is 1.5, expected a number in [0, 1]");
}

TEST_CASE("a quantile leaves out what is NaN, and keeps what is infinite in its place") {
    const double nan = distill::quiet_nan(), infinity = distill_test::infinite();
    CHECK(distill::quantile(std::vector<double>{5, 4, 3, nan, 2, 1, 0}, 1.0) == 5.0);
    CHECK(distill::quantile(std::vector<double>{3, nan, 1, 2, nan, 0, 5, 4}, 0.5) == 2.5);
    CHECK(distill::quantile(std::vector<float>{1.0f, static_cast<float>(nan)}, 0.0) == 1.0);
    CHECK(refusal([&] { static_cast<void>(distill::quantile(std::vector<double>{nan, nan}, 0.5)); }) ==
          "distill: a quantile of no values");
#ifndef __FAST_MATH__
    CHECK(distill::quantile(std::vector<double>{infinity, 1.0, infinity, 0.0, infinity}, 0.9) == infinity);
    CHECK(distill::quantile(std::vector<double>{infinity, 1.0, 0.0}, 0.5) == 1.0);
#else
    static_cast<void>(infinity);
#endif
}

TEST_CASE("a length without an address is refused by every helper, and nothing is written") {
    std::vector<double> out(4, 42.0);
    const std::span<double> there(out), nowhere(static_cast<double*>(nullptr), 4);
    const distill::row_values given(out), absent(static_cast<const double*>(nullptr), 4);
    const distill::row_indices no_offsets(static_cast<const int*>(nullptr), 2),
        no_lengths(static_cast<const int*>(nullptr), 2);
    const std::vector<int> all{0, 4};
    using distill::label_reward;
    const std::pair<std::string, std::function<void()>> calls[] = {
        {"values has 4", [&] { distill::gate_above(absent, 0.0, there); }},
        {"out has 4", [&] { distill::gate_below(given, 0.0, nowhere); }},
        {"values has 4", [&] { distill::gate_by_failure(absent, there); }},
        {"values has 4", [&] { static_cast<void>(distill::quantile(absent, 0.5)); }},
        {"weights has 4", [&] { static_cast<void>(distill::quantile(given, 0.5, absent)); }},
        {"values has 4", [&] { distill::sequence_means(absent, all, there); }},
        {"out has 4", [&] { distill::sequence_means(given, all, nowhere); }},
        {"weights has 4", [&] { distill::sequence_means(given, all, there, absent); }},
        {"sequence_offsets has 2", [&] { distill::sequence_means(given, no_offsets, there); }},
        {"per_sequence has 4", [&] { distill::spread_over_rows(absent, all, there); }},
        {"out has 4", [&] { distill::spread_over_rows(given, all, nowhere); }},
        {"advantages has 4", [&] { distill::shape_advantages(absent, given, 1.0, label_reward::probability, there); }},
        {"label_log_probs has 4", [&] { distill::shape_advantages(given, absent, 1.0, label_reward::probability, there); }},
        {"out has 4", [&] { distill::shape_advantages(given, given, 1.0, label_reward::probability, nowhere); }},
        {"rewards has 4", [&] { distill::group_advantages(absent, all, there); }},
        {"advantages has 4", [&] { distill::group_advantages(given, all, nowhere); }},
        {"group_offsets has 2", [&] { distill::group_advantages(given, no_offsets, there); }},
        {"lengths has 2", [&] { distill::weights_of_padded_batch(no_lengths, 2, there); }},
        {"weights has 4", [&] { distill::weights_of_padded_batch(all, 2, nowhere); }},
        {"offsets has 4", [&] { distill::offsets_of_padded_batch(2, std::span<int>(static_cast<int*>(nullptr), 4)); }},
    };
    for (const auto& [which, call] : calls) CHECK(refusal(call) == "distill: " + which + " elements and a null pointer");
    CHECK(refusal([&] { distill::gate_above(distill::row_values(out.data(), -2), 0.0, there); }) ==
          "distill: values has -2 elements");
    CHECK(out == std::vector<double>(4, 42.0));
}

TEST_CASE("a shaped advantage has the label's log-probability or probability added") {
    const std::vector<double> advantages{1.0, -1.0}, log_p{-0.5, -20.0};
    std::vector<double> out(2);
    distill::shape_advantages(advantages, log_p, 0.02, distill::label_reward::log_probability, std::span(out));
    CHECK(out == std::vector<double>{1.0 + 0.02 * -0.5, -1.0 + 0.02 * -20.0});
    distill::shape_advantages(advantages, log_p, 0.02, distill::label_reward::probability, std::span(out));
    CHECK(out == std::vector<double>{1.0 + 0.02 * std::exp(-0.5), -1.0 + 0.02 * std::exp(-20.0)});
}

TEST_CASE("sizes and offsets that do not fit are refused, and nothing is written") {
    std::vector<double> out(5, 42.0);
    const std::span<double> short_out(out);
    CHECK(refusal([&] { distill::sequence_means(values, offsets, short_out); }) ==
          "distill: out has 5 elements, values has 6");
    CHECK(refusal([&] { distill::sequence_means(std::vector<double>(5), offsets, short_out); }) ==
          "distill: sequence_offsets start at 0, never decrease and end at the number of rows, 5");
    CHECK(refusal([&] {
              distill::sequence_means(std::vector<double>(5), std::vector<int>{0, 5}, short_out, std::vector<double>(4));
          }) == "distill: weights has 4 elements, values has 5");
    CHECK(refusal([&] { distill::spread_over_rows(std::vector<double>(3), std::vector<int>{0, 5}, short_out); }) ==
          "distill: per_sequence has 3 elements, sequence_offsets name 1 sequences");
    CHECK(refusal([&] { distill::gate_above(values, 0.0, short_out); }) == "distill: out has 5 elements, values has 6");
    CHECK(refusal([&] {
              distill::shape_advantages(values, std::vector<double>(5), 1.0, distill::label_reward::probability, short_out);
          }) == "distill: label_log_probs has 5 elements, advantages has 6");
    CHECK(out == std::vector<double>(5, 42.0));
}
