#include <distill/interop/detail/tensor_axes.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

using distill::detail::axes_of, distill::detail::compact_axes, distill::detail::rows_of, distill::detail::tensor_axis,
    distill::detail::tensor_memory, distill::detail::tensor_rows;

namespace {

constexpr std::ptrdiff_t largest = std::numeric_limits<std::ptrdiff_t>::max();
constexpr float entry = 0.0f;
constexpr tensor_memory somewhere{&entry, sizeof(float), alignof(float)};

// Every entry stands where a matrix of this stride has it.
bool has_stride(tensor_axis outer, tensor_axis inner, tensor_axis columns, std::ptrdiff_t stride) {
    for (std::ptrdiff_t i = 0; i < outer.length; ++i)
        for (std::ptrdiff_t j = 0; j < inner.length; ++j)
            for (std::ptrdiff_t k = 0; k < columns.length; ++k)
                if (i * outer.stride + j * inner.stride + k * columns.stride != (i * inner.length + j) * stride + k)
                    return false;
    return true;
}

// Some matrix of rows that do not overlap has every entry where the tensor has it.
bool is_matrix(tensor_axis outer, tensor_axis inner, tensor_axis columns) {
    for (std::ptrdiff_t stride = columns.length; stride <= 16; ++stride)
        if (has_stride(outer, inner, columns, stride)) return true;
    return false;
}

}  // namespace

TEST_CASE("a tensor is rows exactly where a matrix has every entry at its place") {
    int accepted = 0, wrong = 0;
    const auto strides = {-4, -1, 0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15};
    for (const std::ptrdiff_t batch : {1, 2, 3})
        for (const std::ptrdiff_t time : {1, 2, 3})
            for (const std::ptrdiff_t vocabulary : {1, 2, 4})
                for (const int of_batch : strides)
                    for (const int of_time : strides)
                        for (const int of_vocabulary : {-1, 0, 1, 2, 3}) {
                            const tensor_axis outer{batch, of_batch}, inner{time, of_time},
                                columns{vocabulary, of_vocabulary};
                            const tensor_rows found = rows_of(outer, inner, columns, somewhere);
                            if (found.problem.empty()) {
                                ++accepted;
                                wrong += found.rows != batch * time || found.columns != vocabulary ||
                                         found.stride < vocabulary || !has_stride(outer, inner, columns, found.stride);
                            } else {
                                wrong += is_matrix(outer, inner, columns);
                            }
                        }
    CHECK(wrong == 0);
    CHECK(accepted > 0);
}

TEST_CASE("any number of leading axes are rows exactly where a matrix has every entry at its place") {
    std::mt19937 random(20);
    const auto draw = [&](std::initializer_list<std::ptrdiff_t> from) { return from.begin()[random() % from.size()]; };
    int accepted = 0, wrong = 0;
    for (int round = 0; round < 20000; ++round) {
        // Strides as a compact tensor has them, some of them spoilt.
        std::vector<tensor_axis> axes(2 + random() % 4);
        std::ptrdiff_t stride = 1;
        for (std::size_t i = axes.size(); i-- > 0;) {
            axes[i] = {draw({1, 1, 2, 3}), random() % 8 == 0 ? draw({-1, 0, 1, 2, 7}) : stride};
            stride = (axes[i].length * stride) + (i + 1 == axes.size() ? draw({0, 0, 2}) : 0);
        }
        const std::span<const tensor_axis> leading = std::span(axes).first(axes.size() - 1);
        const tensor_axis columns = axes.back();
        std::ptrdiff_t rows = 1;
        for (const tensor_axis& axis : leading) rows *= axis.length;
        // Where the entries of a row stand, row by row.
        std::vector<std::ptrdiff_t> place(static_cast<std::size_t>(rows), 0);
        for (std::ptrdiff_t row = 0; row < rows; ++row)
            for (std::ptrdiff_t rest = row, i = std::ssize(leading); i-- > 0;) {
                const tensor_axis& axis = leading[static_cast<std::size_t>(i)];
                place[static_cast<std::size_t>(row)] += rest % axis.length * axis.stride;
                rest /= axis.length;
            }
        const auto has = [&](std::ptrdiff_t of_rows) {
            for (std::ptrdiff_t row = 0; row < rows; ++row)
                if (place[static_cast<std::size_t>(row)] != row * of_rows) return false;
            return columns.length == 1 || columns.stride == 1;
        };
        const tensor_rows found = rows_of(leading, columns, somewhere);
        if (found.problem.empty()) {
            ++accepted;
            wrong +=
                found.rows != rows || found.columns != columns.length || found.stride < columns.length || !has(found.stride);
        } else {
            for (std::ptrdiff_t of_rows = columns.length; of_rows <= 300; ++of_rows) wrong += has(of_rows);
        }
    }
    CHECK(wrong == 0);
    CHECK(accepted > 5000);
    CHECK(accepted < 19000);
}

TEST_CASE("a tensor without entries has its rows, wherever it stands") {
    for (const tensor_memory& memory : {somewhere, tensor_memory{}}) {
        CHECK(rows_of({2, 0}, {0, 7}, {4, 1}, memory).rows == 0);
        const tensor_rows columnless = rows_of({2, 0}, {3, 0}, {0, 9}, memory);
        CHECK(columnless.problem.empty());
        CHECK(columnless.rows == 6);
        CHECK(columnless.columns == 0);
    }
}

TEST_CASE("a shape that no memory holds is refused, and nothing overflows") {
    const auto problem = [](tensor_axis outer, tensor_axis inner, tensor_axis columns) {
        return rows_of(outer, inner, columns, somewhere).problem;
    };
    const std::string too_large = "has more elements than memory can hold";
    CHECK(problem({1, 1}, {largest, 2}, {2, 1}) == too_large);
    CHECK(problem({largest / 2, 1}, {largest / 2, 1}, {1, 1}) == too_large);
    CHECK(problem({largest, 1}, {largest, 1}, {0, 1}) == too_large);
    CHECK(problem({1, 1}, {2, largest}, {2, 1}) == too_large);
    CHECK(problem({2, 4}, {1 << 20, largest}, {1, 1}) == too_large);
    CHECK(problem({1, 1}, {largest / 8, 3}, {1, 1}) == too_large);
    CHECK(problem({1, 1}, {largest / 8, 1}, {1, 1}).empty());
    CHECK(problem({1, 1}, {-1, 4}, {4, 1}) == "has an axis of length -1");
    CHECK(problem({1, 1}, {2, 4}, {-4, 1}) == "has an axis of length -4");
    const auto huge = compact_axes(3, [](std::size_t) { return largest; });
    CHECK(problem(huge.axis[0], huge.axis[1], huge.axis[2]) == too_large);
}

TEST_CASE("memory that is too short, missing or misaligned is refused") {
    const auto problem = [](const tensor_memory& memory) { return rows_of({1, 0}, {3, 5}, {4, 1}, memory).problem; };
    CHECK(problem({&entry, 4, 4, 14}).empty());
    CHECK(problem({&entry, 4, 4, 13}) == "has 13 elements, its shape needs 14");
    CHECK(problem({nullptr, 4, 4}) == "has 12 elements and a null pointer");
    CHECK(problem({reinterpret_cast<const char*>(&entry) + 1, 4, 4}) == "is not aligned to its element type");
}

TEST_CASE("the axes of a compact tensor end in a stride of 1, and a tensor of more than eight axes has none") {
    const int shape[] = {5, 3, 4, 2};
    const auto length = [&](std::size_t i) { return shape[i]; };
    const auto cube = compact_axes(3, length);
    CHECK(cube.rank == 3);
    CHECK(cube.axis[0].stride == 12);
    CHECK(cube.axis[1].stride == 4);
    CHECK(cube.axis[2].stride == 1);
    for (const std::ptrdiff_t rank : {-1, 9}) {
        CHECK(compact_axes(rank, length).rank == rank);
        CHECK(compact_axes(rank, length).kept() == 0);
        CHECK(axes_of(rank, length, length).kept() == 0);
    }
}
