#include <distill/interop/xtensor.hpp>

#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xfixed.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include <unit/interop/check_view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

using distill::row_indices, distill::row_values, distill::values_of, distill::view_of;
using distill_test::check_values, distill_test::check_view, distill_test::refusal;

TEST_CASE("arrays and tensors are viewed where they stand, mutable where they are") {
    xt::xarray<float> array = xt::xarray<float>::from_shape({4, 6});
    xt::xtensor<double, 2> tensor(std::array<std::size_t, 2>{3, 5});
    const xt::xtensor<float, 2> constant(std::array<std::size_t, 2>{3, 5});
    check_view(view_of(array), array.data(), 4, 6, 6);
    check_view(view_of(tensor), tensor.data(), 3, 5, 5);
    check_view(view_of(constant), constant.data(), 3, 5, 5);
    view_of(array).row(2)[1] = 7.0f;
    CHECK(array(2, 1) == 7.0f);
}

TEST_CASE("one row, one column and one entry have the strides of a matrix") {
    xt::xtensor<float, 2> row(std::array<std::size_t, 2>{1, 5}), column(std::array<std::size_t, 2>{5, 1}),
        entry(std::array<std::size_t, 2>{1, 1});
    check_view(view_of(row), row.data(), 1, 5, 5);
    check_view(view_of(column), column.data(), 5, 1, 1);
    check_view(view_of(entry), entry.data(), 1, 1, 1);
}

TEST_CASE("adaptors are viewed with their strides, temporaries of them too") {
    std::vector<float> memory(60);
    const std::array<std::size_t, 2> shape{5, 12};
    auto adaptor = xt::adapt(memory, shape);
    check_view(view_of(adaptor), memory.data(), 5, 12, 12);
    check_view(view_of(xt::adapt(memory.data(), 24, xt::no_ownership(), std::array<std::size_t, 2>{3, 8})), memory.data(), 3,
               8, 8);
    const std::array<std::size_t, 2> narrow{5, 10};
    const std::array<std::ptrdiff_t, 2> strides{12, 1};
    auto strided = xt::adapt(memory.data(), 50, xt::no_ownership(), narrow, strides);
    check_view(view_of(strided), memory.data(), 5, 10, 12);
}

TEST_CASE("views of ranges are viewed where their rows are contiguous, temporaries of them too") {
    xt::xtensor<float, 2> matrix(std::array<std::size_t, 2>{5, 12});
    const xt::xtensor<float, 2>& constant = matrix;
    xt::xarray<float> array = xt::xarray<float>::from_shape({5, 12});
    auto columns = xt::view(matrix, xt::all(), xt::range(2, 9));
    check_view(view_of(columns), matrix.data() + 2, 5, 7, 12);
    check_view(view_of(xt::view(matrix, xt::range(1, 4), xt::all())), matrix.data() + 12, 3, 12, 12);
    check_view(view_of(xt::view(array, xt::range(1, 4), xt::range(0, 5))), array.data() + 12, 3, 5, 12);
    check_view(view_of(xt::view(constant, xt::all(), xt::range(2, 9))), constant.data() + 2, 5, 7, 12);
    check_view(view_of(xt::view(columns, xt::range(2, 4), xt::range(1, 3))), matrix.data() + 27, 2, 2, 12);
    check_view(view_of(xt::view(matrix, xt::range(0, 5, 2), xt::all())), matrix.data(), 3, 12, 24);
    check_view(view_of(xt::strided_view(matrix, {xt::range(1, 3), xt::range(4, 8)})), matrix.data() + 16, 2, 4, 12);
    view_of(columns).row(3)[1] = 7.0f;
    CHECK(matrix(3, 3) == 7.0f);

    const std::string of = "distill: an xtensor of logits has ";
    CHECK(refusal([&] { return view_of(xt::view(matrix, xt::all(), xt::range(0, 12, 2))); }) ==
          of + "an inner stride of 2, expected 1");
    CHECK(refusal([&] { return view_of(xt::transpose(matrix)); }) == of + "an inner stride of 12, expected 1");
    CHECK(refusal([&] { return view_of(xt::view(matrix, xt::range(4, 0, -1), xt::all())); }) ==
          of + "a row stride of -12, expected at least 12");
}

TEST_CASE("a batch of sequences is its rows where batch and time run as one axis") {
    xt::xtensor<float, 3> tensor(std::array<std::size_t, 3>{2, 5, 6});
    const xt::xarray<double> array = xt::xarray<double>::from_shape({2, 5, 6});
    xt::xtensor_fixed<float, xt::xshape<2, 3, 4>> fixed;
    check_view(view_of(tensor), tensor.data(), 10, 6, 6);
    check_view(view_of(array), array.data(), 10, 6, 6);
    check_view(view_of(fixed), fixed.data(), 6, 4, 4);
    check_view(view_of(xt::view(tensor, xt::all(), xt::all(), xt::range(1, 5))), tensor.data() + 1, 10, 4, 6);
    check_view(view_of(xt::view(tensor, 1, xt::range(1, 4), xt::all())), tensor.data() + 36, 3, 6, 6);
    check_view(view_of(xt::view(tensor, xt::all(), 4, xt::all())), tensor.data() + 24, 2, 6, 30);
    check_view(view_of(xt::view(tensor, xt::all(), xt::range(2, 3), xt::all())), tensor.data() + 12, 2, 6, 30);
    CHECK(refusal([&] { return view_of(xt::view(tensor, xt::all(), xt::range(0, 4), xt::all())); }) ==
          "distill: an xtensor of logits has a leading stride of 30, expected 24, with which the leading dimensions are one "
          "axis of rows");
}

TEST_CASE("what is no row-major matrix of contiguous rows is refused") {
    xt::xarray<float> block = xt::xarray<float>::from_shape({1, 1, 1, 1, 1, 2, 3, 4, 1}),
                      line = xt::xarray<float>::from_shape({7});
    const std::string expected = " dimensions, expected 2 to 8, the last one the vocabulary";
    CHECK(refusal([&] { return view_of(block); }) == "distill: an xtensor of logits has 9" + expected);
    CHECK(refusal([&] { return view_of(line); }) == "distill: an xtensor of logits has 1" + expected);
    std::vector<float> memory(60);
    const std::array<std::size_t, 2> shape{5, 6};
    const std::array<std::ptrdiff_t, 2> every_other{12, 2}, columns{1, 5};
    auto sparse = xt::adapt(memory.data(), 30, xt::no_ownership(), shape, every_other);
    auto transposed = xt::adapt(memory.data(), 30, xt::no_ownership(), shape, columns);
    CHECK(refusal([&] { return view_of(sparse); }) == "distill: an xtensor of logits has an inner stride of 2, expected 1");
    CHECK(refusal([&] { return view_of(transposed); }) ==
          "distill: an xtensor of logits has an inner stride of 5, expected 1");
}

TEST_CASE("per-row numbers are borrowed in either width, of rows or of batch and time") {
    xt::xtensor<float, 1> weights(std::array<std::size_t, 1>{4}, 0.5f);
    const xt::xtensor<double, 1> advantages(std::array<std::size_t, 1>{4}, 0.5);
    xt::xarray<std::int64_t> tokens = {3, 1, -100};
    const xt::xtensor<std::int32_t, 2> labels = {{3, 1, -100}, {2, 0, 4}};
    check_values<row_values>(values_of(weights), weights.data(), 4);
    check_values<row_values>(values_of(advantages), advantages.data(), 4);
    check_values<row_indices>(values_of(tokens), tokens.data(), 3);
    check_values<row_indices>(values_of(labels), labels.data(), 6);
    CHECK(values_of(weights)[3] == 0.5);
    CHECK(values_of(labels)[2] == -100);
    check_values<row_values>(values_of(xt::view(weights, xt::range(1, 3))), weights.data() + 1, 2);
    check_values<row_indices>(values_of(xt::row(labels, 1)), labels.data() + 3, 3);

    const std::string of = "distill: an xtensor of per-row numbers has ";
    xt::xarray<double> cube = xt::xarray<double>::from_shape({1, 1, 1, 1, 1, 1, 2, 3, 4});
    CHECK(refusal([&] { return values_of(cube); }) == of + "9 dimensions, expected 1 to 8");
    CHECK(refusal([&] { return values_of(xt::col(labels, 1)); }) == of + "a stride of 3, expected 1");
    CHECK(refusal([&] { return values_of(xt::view(labels, xt::all(), xt::range(0, 2))); }) ==
          of + "a leading stride of 3, expected 2, with which the leading dimensions are one axis of rows");
    std::vector<double> memory(10);
    const std::array<std::size_t, 1> shape{5};
    const std::array<std::ptrdiff_t, 1> every_other{2};
    auto sparse = xt::adapt(memory.data(), 5, xt::no_ownership(), shape, every_other);
    CHECK(refusal([&] { return values_of(sparse); }) == of + "a stride of 2, expected 1");
}
