// What servers send as a teacher's most probable tokens, and what is left of it.
#include <distill/training/clean_top_tokens.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

TEST_CASE("clean_top_tokens: of a token sent twice the first stays, and ids outside the vocabulary go") {
    std::vector<std::int32_t> ids{7, 3, 7, 1, 10, -1, 3, 3, -100, 0, 9, -100};
    std::vector<float> log_probs{-1, -2, -9, -3, -4, -5, -6, -7, 0, -8, std::nanf(""), -11};
    const cleaned_tokens out = clean_top_tokens(3, 9, std::span(ids), std::span(log_probs));
    CHECK(out.duplicates == 2);
    CHECK(out.outside == 3);
    CHECK(ids == std::vector<std::int32_t>{7, 3, -100, 1, -100, -100, 3, -100, -100, 0, -100, -100});
    CHECK(log_probs == std::vector<float>{-1, -2, 0, -3, 0, 0, -6, 0, 0, -8, 0, -11});
    const cleaned_tokens again = clean_top_tokens(3, 9, std::span(ids), std::span(log_probs));
    CHECK(again.duplicates + again.outside == 0);
    std::vector<std::int64_t> none;
    std::vector<double> of_none;
    CHECK(clean_top_tokens(0, 9, std::span(none), std::span(of_none)).outside == 0);
}

TEST_CASE("clean_top_tokens: sizes that do not fit are refused, and nothing is written") {
    std::vector<std::int64_t> ids{5, 5, 5, 5};
    std::vector<double> log_probs(4, -1.0), fewer(3, -1.0);
    CHECK_THROWS_WITH(clean_top_tokens(2, 0, std::span(ids), std::span(log_probs)), doctest::Contains("vocabulary is 0"));
    CHECK_THROWS_WITH(clean_top_tokens(2, 9, std::span(ids), std::span(fewer)),
                      doctest::Contains("log_probs has 3 elements"));
    CHECK_THROWS_WITH(clean_top_tokens(3, 9, std::span(ids), std::span(log_probs)), doctest::Contains("each of 3 rows"));
    CHECK_THROWS_WITH(clean_top_tokens(-2, 9, std::span(ids), std::span(log_probs)), doctest::Contains("each of -2 rows"));
    CHECK_THROWS_WITH(clean_top_tokens(0, 9, std::span(ids), std::span(log_probs)), doctest::Contains("each of 0 rows"));
    CHECK(ids == std::vector<std::int64_t>(4, 5));
}

}  // namespace
}  // namespace distill_test
