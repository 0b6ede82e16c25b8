#include <distill/interop/mdspan.hpp>

#include <unit/interop/check_view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>
#include <version>
#if defined(__cpp_lib_mdspan)
#include <mdspan>
#endif

using distill::row_indices, distill::row_values, distill::values_of, distill::view_of;
using distill_test::check_values, distill_test::check_view, distill_test::refusal;

namespace {

// What the library asks of an mdspan, and nothing more.
template <class Element, std::size_t Rank>
struct strided {
    using element_type = Element;

    static constexpr std::size_t rank() noexcept { return Rank; }
    [[nodiscard]] constexpr int extent(std::size_t axis) const noexcept { return extents[axis]; }
    [[nodiscard]] constexpr int stride(std::size_t axis) const noexcept { return strides[axis]; }
    [[nodiscard]] constexpr Element* data_handle() const noexcept { return data; }

    Element* data;
    std::array<int, Rank> extents, strides;
};

}  // namespace

TEST_CASE("a matrix of strided rows is viewed where it stands, mutable where its elements are") {
    std::vector<float> memory(60);
    const strided<float, 2> matrix{memory.data() + 2, {4, 10}, {12, 1}};
    check_view(view_of(matrix), memory.data() + 2, 4, 10, 12);
    check_view(view_of(strided<const float, 2>{memory.data(), {5, 12}, {12, 1}}), std::as_const(memory).data(), 5, 12, 12);
    view_of(matrix).row(1)[3] = 7.0f;
    CHECK(memory[2 + 12 + 3] == 7.0f);
    check_view(view_of(strided<float, 2>{memory.data(), {1, 7}, {-3, 1}}), memory.data(), 1, 7, 7);
    check_view(view_of(strided<float, 2>{memory.data(), {5, 1}, {3, 9}}), memory.data(), 5, 1, 3);
}

TEST_CASE("a batch of sequences is its rows where batch and time run as one axis") {
    std::vector<double> memory(120);
    check_view(view_of(strided<double, 3>{memory.data(), {2, 5, 10}, {60, 12, 1}}), memory.data(), 10, 10, 12);
    check_view(view_of(strided<double, 3>{memory.data(), {1, 5, 10}, {7, 12, 1}}), memory.data(), 5, 10, 12);
    check_view(view_of(strided<double, 3>{memory.data(), {4, 1, 10}, {30, 7, 1}}), memory.data(), 4, 10, 30);
    CHECK(refusal([&] { return view_of(strided<double, 3>{memory.data(), {2, 4, 10}, {60, 12, 1}}); }) ==
          "distill: an mdspan of logits has a leading stride of 60, expected 48, with which the leading dimensions are "
          "one axis of rows");
}

TEST_CASE("what is no matrix of contiguous rows is refused") {
    std::vector<float> memory(60);
    const auto refused = [&](float* data, std::array<int, 2> extents, std::array<int, 2> strides) {
        return refusal([&] { return view_of(strided<float, 2>{data, extents, strides}); });
    };
    CHECK(refused(memory.data(), {5, 6}, {1, 5}) == "distill: an mdspan of logits has an inner stride of 5, expected 1");
    CHECK(refused(memory.data(), {5, 6}, {0, 1}) ==
          "distill: an mdspan of logits has a row stride of 0, expected at least 6");
    CHECK(refused(nullptr, {5, 6}, {6, 1}) == "distill: an mdspan of logits has 30 elements and a null pointer");
}

TEST_CASE("per-row numbers are borrowed in either width, of rows or of batch and time") {
    std::vector<float> weights(6);
    const std::vector<double> advantages(6);
    std::vector<std::int32_t> tokens(6);
    const std::vector<std::int64_t> labels(6);
    check_values<row_values>(values_of(strided<float, 1>{weights.data(), {6}, {1}}), weights.data(), 6);
    check_values<row_values>(values_of(strided<const double, 1>{advantages.data(), {5}, {1}}), advantages.data(), 5);
    check_values<row_indices>(values_of(strided<std::int32_t, 2>{tokens.data(), {2, 3}, {3, 1}}), tokens.data(), 6);
    check_values<row_indices>(values_of(strided<const std::int64_t, 2>{labels.data(), {2, 3}, {3, 1}}), labels.data(), 6);
    CHECK(refusal([&] { return values_of(strided<float, 1>{weights.data(), {3}, {2}}); }) ==
          "distill: an mdspan of per-row numbers has a stride of 2, expected 1");
    CHECK(
        refusal([&] { return values_of(strided<std::int32_t, 2>{tokens.data(), {2, 2}, {3, 1}}); }) ==
        "distill: an mdspan of per-row numbers has a leading stride of 3, expected 2, with which the leading dimensions are "
        "one axis of rows");
}

#if defined(__cpp_lib_mdspan)
TEST_CASE("the standard library's mdspan is such a type") {
    std::vector<float> memory(60);
    check_view(view_of(std::mdspan(memory.data(), 5, 12)), memory.data(), 5, 12, 12);
    check_view(view_of(std::mdspan(memory.data(), 2, 5, 6)), memory.data(), 10, 6, 6);
    check_view(view_of(std::mdspan<const float, std::extents<int, 3, 20>>(memory.data())), std::as_const(memory).data(), 3,
               20, 20);
    const std::layout_stride::mapping padded(std::extents<std::size_t, 4, 10>{}, std::array<std::size_t, 2>{12, 1});
    check_view(view_of(std::mdspan(memory.data(), padded)), memory.data(), 4, 10, 12);
    const std::mdspan<float, std::dextents<int, 2>, std::layout_left> columns(memory.data(), 5, 6);
    CHECK(refusal([&] { return view_of(columns); }) == "distill: an mdspan of logits has an inner stride of 5, expected 1");
    check_values<row_values>(values_of(std::mdspan(memory.data(), 7)), memory.data(), 7);
}
#endif
