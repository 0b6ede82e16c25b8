#include <distill/interop/span.hpp>

#include <unit/interop/check_view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

using distill::view_of;
using distill_test::check_view, distill_test::refusal;

TEST_CASE("a flat range with a shape is viewed where it stands, mutable where its elements are") {
    std::vector<float> memory(60);
    const std::vector<float>& constant = memory;
    std::array<double, 6> fixed{};
    check_view(view_of(memory, 5, 12), memory.data(), 5, 12, 12);
    check_view(view_of(constant, std::size_t{5}, std::int64_t{12}), constant.data(), 5, 12, 12);
    check_view(view_of(std::span(memory).subspan(3), 4, 10, 12u), memory.data() + 3, 4, 10, 12);
    check_view(view_of(std::span<const float>(memory), 5, 12), constant.data(), 5, 12, 12);
    check_view(view_of(fixed, 2, 3), fixed.data(), 2, 3, 3);
    check_view(view_of(memory, 1, 10, 12), memory.data(), 1, 10, 12);
    view_of(memory, 5, 12).row(2)[1] = 7.0f;
    CHECK(memory[25] == 7.0f);
}

TEST_CASE("a shape may be braced, and batch and time become rows") {
    std::vector<float> memory(60);
    const std::size_t batch = 2, time = 5, vocabulary = 6;
    check_view(view_of(memory, {5, 12}), memory.data(), 5, 12, 12);
    check_view(view_of(memory, {batch, time, vocabulary}), memory.data(), 10, 6, 6);
    check_view(view_of(memory, {2, 5, 4}, {30, 6, 1}), memory.data(), 10, 4, 6);
    check_view(view_of(std::as_const(memory), {2, 1, 4}, {30, 6, 1}), std::as_const(memory).data(), 2, 4, 30);
    CHECK(refusal([&] { return view_of(memory, {2, 4, 6}, {30, 6, 1}); }) ==
          "distill: a span of logits has a leading stride of 30, expected 24, with which the leading dimensions are one "
          "axis of rows");
    CHECK(refusal([&] { return view_of(memory, {5, 6}, {12, 2}); }) ==
          "distill: a span of logits has an inner stride of 2, expected 1");
}

TEST_CASE("a range is as long as its shape needs, and the last row's padding may be missing") {
    std::vector<float> memory(58);
    CHECK(refusal([&] { return view_of(memory, 5, 12); }) ==
          "distill: a span of logits has 58 elements, its shape needs 60");
    CHECK(refusal([&] { return view_of(memory, {2, 5, 6}); }) ==
          "distill: a span of logits has 58 elements, its shape needs 60");
    check_view(view_of(memory, 5, 10, 12), memory.data(), 5, 10, 12);
    CHECK(refusal([&] { return view_of(std::span(memory).first(57), 5, 10, 12); }) ==
          "distill: a span of logits has 57 elements, its shape needs 58");
    const std::vector<float> none;
    CHECK(refusal([&] { return view_of(none, 2, 3); }) == "distill: a span of logits has 0 elements, its shape needs 6");
    CHECK(view_of(none, 0, 3).rows == 0);
    CHECK(refusal([&] { return view_of(memory, 5, 10, 9); }) ==
          "distill: a span of logits has a row stride of 9, expected at least 10");
    CHECK(refusal([&] { return view_of(memory, -5, 10); }) == "distill: a span of logits has an axis of length -5");
}
