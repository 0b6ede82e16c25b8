#include <distill/interop/xtensor.hpp>

#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xtensor.hpp>

#include <unit/interop/check_view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

using distill::logits_view, distill::values_of, distill::view_of;
using distill_test::check_view;

namespace {

template <class Call>
std::string refusal(const Call& call) {
    try {
        static_cast<void>(call());
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace

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

TEST_CASE("what is no row-major matrix of contiguous rows is refused") {
    xt::xarray<float> cube = xt::xarray<float>::from_shape({2, 3, 4}), line = xt::xarray<float>::from_shape({7});
    CHECK(refusal([&] { return view_of(cube); }) == "distill: an xtensor of logits has 3 dimensions, expected 2");
    CHECK(refusal([&] { return view_of(line); }) == "distill: an xtensor of logits has 1 dimensions, expected 2");
    std::vector<float> memory(60);
    const std::array<std::size_t, 2> shape{5, 6};
    const std::array<std::ptrdiff_t, 2> every_other{12, 2}, columns{1, 5};
    auto sparse = xt::adapt(memory.data(), 30, xt::no_ownership(), shape, every_other);
    auto transposed = xt::adapt(memory.data(), 30, xt::no_ownership(), shape, columns);
    CHECK(refusal([&] { return view_of(sparse); }) == "distill: an xtensor of logits has an inner stride of 2, expected 1");
    CHECK(refusal([&] { return view_of(transposed); }) ==
          "distill: an xtensor of logits has an inner stride of 5, expected 1");
}

TEST_CASE("one-dimensional containers are per-row arrays of their own type") {
    xt::xtensor<float, 1> weights(std::array<std::size_t, 1>{4}, 0.5f);
    xt::xarray<std::int64_t> tokens = {3, 1, -100};
    static_assert(std::same_as<decltype(values_of(weights)), distill::row_values>);
    static_assert(std::same_as<decltype(values_of(tokens)), distill::row_indices>);
    CHECK(values_of(weights).address() == weights.data());
    CHECK(values_of(weights).size() == 4);
    CHECK(values_of(weights)[3] == 0.5);
    CHECK(values_of(tokens)[2] == -100);
    xt::xarray<double> matrix = xt::xarray<double>::from_shape({2, 3});
    CHECK(refusal([&] { return values_of(matrix); }) ==
          "distill: an xtensor of per-row numbers has 2 dimensions, expected 1");
    std::vector<double> memory(10);
    const std::array<std::size_t, 1> shape{5};
    const std::array<std::ptrdiff_t, 1> every_other{2};
    auto sparse = xt::adapt(memory.data(), 5, xt::no_ownership(), shape, every_other);
    CHECK(refusal([&] { return values_of(sparse); }) ==
          "distill: an xtensor of per-row numbers has a stride of 2, expected 1");
}
