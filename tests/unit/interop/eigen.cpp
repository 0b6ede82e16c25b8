#include <distill/interop/eigen.hpp>

#include <unit/interop/check_view.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <cstdint>
#include <utility>
#include <vector>

using distill::logits_view, distill::row_indices, distill::row_values, distill::values_of, distill::view_of;
using distill_test::check_view;

namespace {

template <class T>
using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

TEST_CASE("a matrix is viewed where it stands, mutable where it is") {
    matrix<float> m(4, 6);
    const matrix<Eigen::half> constant(2, 3);
    Eigen::Matrix<double, 2, 5, Eigen::RowMajor> fixed;
    check_view(view_of(m), m.data(), 4, 6, 6);
    check_view(view_of(constant), constant.data(), 2, 3, 3);
    check_view(view_of(fixed), fixed.data(), 2, 5, 5);
    view_of(m).row(2)[1] = 7.0f;
    m(2, 1) += 1.0f;
    CHECK(view_of(m).row(2)[1] == 8.0f);
}

TEST_CASE("maps, blocks and references are viewed with their outer stride, temporaries of them too") {
    std::vector<float> memory(60);
    Eigen::Map<matrix<float>> map(memory.data(), 5, 12);
    check_view(view_of(map), memory.data(), 5, 12, 12);
    check_view(view_of(Eigen::Map<const matrix<float>>(memory.data(), 3, 20)), std::as_const(memory).data(), 3, 20, 20);
    check_view(view_of(Eigen::Map<matrix<float>, 0, Eigen::OuterStride<>>(memory.data(), 4, 10, Eigen::OuterStride<>(13))),
               memory.data(), 4, 10, 13);
    check_view(view_of(map.block(1, 2, 3, 4)), memory.data() + 14, 3, 4, 12);
    check_view(view_of(map.leftCols(5)), memory.data(), 5, 5, 12);
    check_view(view_of(map.middleRows(2, 2)), memory.data() + 24, 2, 12, 12);
    Eigen::Ref<matrix<float>> reference = map.rightCols(7);
    check_view(view_of(reference), memory.data() + 5, 5, 7, 12);
}

TEST_CASE("a row vector is one row") {
    Eigen::RowVectorXf row(9);
    const auto view = view_of(row);
    CHECK(view.data == row.data());
    CHECK(view.rows == 1);
    CHECK(view.vocabulary == 9);
    CHECK(view.row_stride >= 9);
}

TEST_CASE("an array is viewed as a matrix is") {
    Eigen::Array<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> a(3, 8);
    check_view(view_of(a), a.data(), 3, 8, 8);
}

TEST_CASE("vectors are per-row arrays of their own type") {
    Eigen::VectorXf weights(4);
    Eigen::RowVectorXd advantages(5);
    Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1> tokens(6);
    Eigen::VectorXi labels(7);
    weights.setConstant(0.5f);
    labels.setConstant(-100);
    tokens.setConstant(3);
    static_assert(std::same_as<decltype(values_of(weights)), row_values>);
    static_assert(std::same_as<decltype(values_of(tokens)), row_indices>);
    CHECK(values_of(weights).address() == weights.data());
    CHECK(values_of(weights).size() == 4);
    CHECK(values_of(weights)[3] == 0.5);
    CHECK(values_of(advantages).address() == advantages.data());
    CHECK(values_of(tokens).size() == 6);
    CHECK(values_of(labels)[6] == -100);
    const Eigen::VectorXi constant_labels = labels;
    const Eigen::Matrix<std::int64_t, 1, Eigen::Dynamic> constant_tokens = tokens.transpose();
    static_assert(std::same_as<decltype(values_of(constant_labels)), row_indices>);
    CHECK(values_of(constant_labels).address() == constant_labels.data());
    CHECK(values_of(constant_tokens).address() == constant_tokens.data());
    CHECK(values_of(constant_tokens).size() == 6);
}

TEST_CASE("segments of vectors are per-row arrays too") {
    const Eigen::VectorXf weights = Eigen::VectorXf::Zero(8);
    const auto check_segment = [&](const auto& segment, const float* data, std::ptrdiff_t size) {
        if constexpr (requires { values_of(segment); }) {
            CHECK(values_of(segment).address() == data);
            CHECK(values_of(segment).size() == size);
        } else {
            FAIL_CHECK("values_of does not accept a segment");
        }
    };
    check_segment(weights.segment(1, 2), weights.data() + 1, 2);
    check_segment(weights.tail(3), weights.data() + 5, 3);
    check_segment(weights.head<4>(), weights.data(), 4);
}
