#include <distill/interop/detail/tensor_axes.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <limits>
#include <string>

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

TEST_CASE("the axes of a compact tensor end in a stride of 1, and a tensor of more than three axes has none") {
    const int shape[] = {5, 3, 4, 2};
    const auto length = [&](std::size_t i) { return shape[i]; };
    const auto cube = compact_axes(3, length);
    CHECK(cube.rank == 3);
    CHECK(cube.axis[0].stride == 12);
    CHECK(cube.axis[1].stride == 4);
    CHECK(cube.axis[2].stride == 1);
    for (const std::ptrdiff_t rank : {-1, 4}) {
        CHECK(compact_axes(rank, length).rank == rank);
        CHECK(compact_axes(rank, length).kept() == 0);
        CHECK(axes_of(rank, length, length).kept() == 0);
    }
}
