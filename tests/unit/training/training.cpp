#include <distill/core/number.hpp>
#include <distill/training/annealing.hpp>
#include <distill/training/group_advantages.hpp>
#include <distill/training/padded_batch.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

using distill::advantage_scale, distill::group_advantages;

namespace {

std::string refusal(const std::vector<double>& rewards, const std::vector<std::int32_t>& offsets, std::size_t size,
                    double epsilon = 1e-6) {
    std::vector<double> advantages(size, 42.0);
    try {
        group_advantages(rewards, offsets, std::span(advantages), advantage_scale::sample_deviation, epsilon);
    } catch (const std::invalid_argument& error) {
        CHECK(advantages == std::vector<double>(size, 42.0));
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("advantages are rewards less their group's mean, over its deviation") {
    const std::vector<float> rewards{1.0f, 0.0f, 0.0f, 1.0f, 2.0f, 4.0f, 6.0f};
    const std::vector<std::int64_t> offsets{0, 4, 7};
    std::vector<double> advantages(7);

    group_advantages(rewards, offsets, std::span(advantages));
    const double first = std::sqrt(1.0 / 3.0) + 1e-6, second = 2.0 + 1e-6;
    const double expected[] = {0.5 / first, -0.5 / first, -0.5 / first, 0.5 / first, -2.0 / second, 0.0, 2.0 / second};
    for (std::size_t i = 0; i < 7; ++i) CHECK(advantages[i] == doctest::Approx(expected[i]).epsilon(1e-12));

    group_advantages(rewards, offsets, std::span(advantages), advantage_scale::population_deviation, 0.0);
    CHECK(advantages[0] == doctest::Approx(1.0).epsilon(1e-12));
    CHECK(advantages[6] == doctest::Approx(2.0 / std::sqrt(8.0 / 3.0)).epsilon(1e-12));

    group_advantages(rewards, offsets, std::span(advantages), advantage_scale::none);
    CHECK(advantages[1] == -0.5);
    CHECK(advantages[4] == -2.0);
}

TEST_CASE("groups without signal get zeros: equal rewards, a single one, none") {
    const std::vector<double> rewards{0.1, 0.1, 0.1, 7.0};
    const std::vector<std::int32_t> offsets{0, 3, 3, 4};
    for (const auto scale :
         {advantage_scale::sample_deviation, advantage_scale::population_deviation, advantage_scale::none}) {
        std::vector<float> advantages(4, 42.0f);
        group_advantages(rewards, offsets, std::span(advantages), scale, 0.0);
        CHECK(advantages == std::vector<float>(4, 0.0f));
    }
}

TEST_CASE("advantages may take the place of the rewards") {
    std::vector<double> rewards{3.0, 1.0, 2.0, 2.5};
    const std::vector<std::int32_t> offsets{0, 2, 4};
    std::vector<double> expected(4);
    group_advantages(rewards, offsets, std::span(expected));
    group_advantages(rewards, offsets, std::span(rewards));
    CHECK(rewards == expected);
}

TEST_CASE("sizes and offsets that do not fit are refused, and nothing is written") {
    const std::vector<double> rewards{1.0, 2.0, 3.0};
    CHECK(refusal(rewards, {0, 3}, 3) == "accepted");
    const std::string sentence = "distill: group_offsets start at 0, never decrease and end at the number of rows, 3";
    CHECK(refusal(rewards, {0, 3}, 2) == "distill: advantages has 2 elements, rewards has 3");
    for (const std::vector<std::int32_t>& offsets : {std::vector<std::int32_t>{}, {0}, {1, 3}, {0, 2}, {0, 4}})
        CHECK(refusal(rewards, offsets, 3) == sentence);
    CHECK(refusal(rewards, {0, 2, 1, 3}, 3) == sentence);
    CHECK(refusal(rewards, {0, 3}, 3, -1.0) == "distill: epsilon is -1, expected at least 0");
    CHECK(refusal(rewards, {0, 3}, 3, distill::quiet_nan()).starts_with("distill: epsilon is "));
}

TEST_CASE("annealing starts at its initial value, falls by its decrement and ends exactly at its floor") {
    const distill::linear_annealing tgpo;
    CHECK(tgpo(1) == 2e-3);
    CHECK(tgpo(2) == doctest::Approx(1.99e-3).epsilon(1e-12));
    CHECK(tgpo(101) == doctest::Approx(1e-3).epsilon(1e-12));
    CHECK(tgpo(200) == doctest::Approx(1e-5).epsilon(1e-9));
    CHECK(tgpo(201) == 0.0);
    CHECK(tgpo(std::int64_t{1000000}) == 0.0);
    const distill::linear_annealing held{.initial = 1.0, .decrement = 0.25, .floor = 0.3};
    CHECK(held(3) == 0.5);
    CHECK(held(4) == 0.3);
    CHECK(distill::linear_annealing{.initial = 0.5, .decrement = 0.0}(1000u) == 0.5);
}

TEST_CASE("the weights of a padded batch are 1 on the tokens of each sequence and 0 on its padding, at either end") {
    const std::vector<std::int32_t> narrow{2, 0, 3};
    const std::vector<std::int64_t> wide{2, 0, 3};
    std::vector<float> singles(9, 42.0f);
    std::vector<double> doubles(9, 42.0);
    distill::weights_of_padded_batch(narrow, 3, std::span(singles));
    CHECK(singles == std::vector<float>{1, 1, 0, 0, 0, 0, 1, 1, 1});
    distill::weights_of_padded_batch(wide, 3, std::span(doubles));
    CHECK(doubles == std::vector<double>{1, 1, 0, 0, 0, 0, 1, 1, 1});
    distill::weights_of_padded_batch(wide, 3, std::span(singles), distill::padding::at_the_start);
    CHECK(singles == std::vector<float>{0, 1, 1, 0, 0, 0, 1, 1, 1});
    distill::weights_of_padded_batch({}, 3, std::span<float>());
    distill::weights_of_padded_batch(std::vector<std::int32_t>{0, 0}, 0, std::span<float>());
}

TEST_CASE("lengths that do not fit their batch are refused, and no weight is written") {
    const auto refused = [](const std::vector<std::int64_t>& lengths, std::ptrdiff_t time, std::size_t size) {
        std::vector<float> weights(size, 42.0f);
        try {
            distill::weights_of_padded_batch(lengths, time, std::span(weights));
        } catch (const std::invalid_argument& error) {
            CHECK(weights == std::vector<float>(size, 42.0f));
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    CHECK(refused({1, 2}, 3, 6) == "accepted");
    CHECK(refused({1, 2}, 3, 5) == "distill: weights has 5 elements, expected 2 sequences of 3 rows");
    CHECK(refused({1, 2}, 3, 9) == "distill: weights has 9 elements, expected 2 sequences of 3 rows");
    CHECK(refused({1, 2}, 0, 6) == "distill: weights has 6 elements, expected 2 sequences of 0 rows");
    CHECK(refused({1, 4}, 3, 6) == "distill: lengths[1] is 4, expected 0 to 3");
    CHECK(refused({-1, 2}, 3, 6) == "distill: lengths[0] is -1, expected 0 to 3");
    CHECK(refused({1, 2}, -3, 6) == "distill: time is -3, expected at least 0");
    const distill::row_indices dangling(static_cast<const std::int32_t*>(nullptr), 2);
    std::vector<float> weights(6);
    CHECK_THROWS_WITH_AS(distill::weights_of_padded_batch(dangling, 3, std::span(weights)),
                         "distill: lengths has 2 elements and a null pointer", std::invalid_argument);
}

TEST_CASE("the offsets of a padded batch are multiples of its time, in a type that holds them") {
    std::vector<std::int32_t> narrow(4, 42);
    std::vector<std::int64_t> wide(3, 42);
    distill::offsets_of_padded_batch(5, std::span(narrow));
    CHECK(narrow == std::vector<std::int32_t>{0, 5, 10, 15});
    distill::offsets_of_padded_batch(std::ptrdiff_t{1} << 40, std::span(wide));
    CHECK(wide == std::vector<std::int64_t>{0, std::int64_t{1} << 40, std::int64_t{1} << 41});
    distill::offsets_of_padded_batch(0, std::span(wide));
    CHECK(wide == std::vector<std::int64_t>{0, 0, 0});

    const auto offsets_of = [&](std::ptrdiff_t time, std::span<std::int32_t> offsets) {
        distill::offsets_of_padded_batch(time, offsets);
    };
    CHECK_THROWS_WITH_AS(offsets_of(715827883, narrow), "distill: offsets are too narrow for 3 sequences of 715827883 rows",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(offsets_of(-1, narrow), "distill: time is -1, expected at least 0", std::invalid_argument);
    CHECK_THROWS_WITH_AS(offsets_of(5, {}), "distill: offsets has 0 elements, expected one more than there are sequences",
                         std::invalid_argument);
    CHECK(narrow == std::vector<std::int32_t>{0, 5, 10, 15});
    offsets_of(715827882, narrow);
    CHECK(narrow[3] == 2147483646);
}
