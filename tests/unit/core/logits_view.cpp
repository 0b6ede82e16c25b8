#include <distill/core/gradient.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/result.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

using distill::gradient, distill::logits_view;

static_assert(std::convertible_to<logits_view<float>, logits_view<const float>>);
static_assert(!std::convertible_to<logits_view<const float>, logits_view<float>>);
static_assert(!std::convertible_to<logits_view<double>, logits_view<const float>>);
static_assert(std::same_as<decltype(logits_view(static_cast<float*>(nullptr), 1, 2)), logits_view<float>>);

TEST_CASE("a view's stride is its vocabulary unless given, whatever the integers' types") {
    std::vector<float> memory(24);
    const logits_view tight(memory.data(), std::size_t{4}, 6);
    CHECK(tight.row_stride == 6);
    CHECK(tight.row(3) == memory.data() + 18);
    const logits_view padded(memory.data(), std::int32_t{4}, std::int64_t{5}, 6u);
    CHECK(padded.row_stride == 6);
    CHECK(padded.vocabulary == 5);
    CHECK(padded.row(2) == memory.data() + 12);
    const logits_view<const float> constant = padded;
    CHECK(constant.data == memory.data());
    CHECK(constant.row_stride == 6);
}

TEST_CASE("only the default view is absent") {
    float x = 0.0f;
    CHECK(logits_view<float>{}.absent());
    CHECK_FALSE(logits_view<float>(nullptr, 0, 5).absent());
    CHECK_FALSE(logits_view<float>(nullptr, 1, 0).absent());
    CHECK_FALSE(logits_view<float>(&x, 0, 0).absent());
}

TEST_CASE("a gradient overwrites and leaves padding alone unless told otherwise, in any order") {
    std::vector<float> memory(24);
    const logits_view<float> view(memory.data(), 4, 5, 6);
    const gradient<float> plain = view;
    CHECK_FALSE(plain.adds);
    CHECK_FALSE(plain.zeroes_padding);
    const gradient<float> spelled(memory.data(), 4, 5, 6);
    CHECK(spelled.view.row_stride == 6);
    for (const auto& g : {accumulate(zero_padding(view)), zero_padding(accumulate(view))}) {
        CHECK(g.adds);
        CHECK(g.zeroes_padding);
        CHECK(g.view.data == memory.data());
        CHECK(g.view.row_stride == 6);
    }
    CHECK(accumulate(view).adds);
    CHECK_FALSE(accumulate(view).zeroes_padding);
}

TEST_CASE("the clip fraction is a share of the active rows, 0 without any") {
    CHECK(distill::loss_result{}.clip_fraction() == 0.0);
    CHECK(distill::loss_result{.active_rows = 8, .clipped_rows = 2}.clip_fraction() == 0.25);
}
