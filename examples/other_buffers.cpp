// The same logits from a bare pointer with padding, an Eigen block and an xtensor: no copy is made of any.
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/interop/eigen.hpp>
#include <distill/interop/xtensor.hpp>
#include <vector>
#include <xtensor/xtensor.hpp>

int main() {
    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};

    // Rows of 3 logits in a buffer padded to 4 columns; the padding is never read.
    const std::vector<float> student{1, 2, 3, -9, 3, 2, 1, -9}, teacher{1, 1, 3, -9, 3, 3, 1, -9};
    const distill::batch<float> bare{.student = {student.data(), 2, 3, 4}, .teacher = {teacher.data(), 2, 3, 4}};
    std::printf("bare pointer  %.6f\n", f(bare).value);

    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const matrix z = Eigen::Map<const matrix>(student.data(), 2, 4), w = Eigen::Map<const matrix>(teacher.data(), 2, 4);
    matrix gradient(2, 3);
    const distill::batch<float> eigen{.student = distill::view_of(z.leftCols(3)),
                                      .teacher = distill::view_of(w.leftCols(3))};
    std::printf("Eigen block   %.6f\n", f(eigen, distill::view_of(gradient)).value);

    const xt::xtensor<float, 2> a{{1, 2, 3}, {3, 2, 1}}, b{{1, 1, 3}, {3, 3, 1}};
    const distill::batch<float> tensors{.student = distill::view_of(a), .teacher = distill::view_of(b)};
    std::printf("xtensor       %.6f\n", f(tensors).value);

    // bfloat16 logits, a float teacher, a float gradient.
    std::vector<Eigen::bfloat16> narrow;
    for (const float x : a) narrow.push_back(Eigen::bfloat16(x));
    const distill::batch<Eigen::bfloat16, float> mixed{.student = {narrow.data(), 2, 3}, .teacher = distill::view_of(b)};
    std::printf("bfloat16      %.6f\n", f(mixed, distill::logits_view<float>(gradient.data(), 2, 3)).value);
}
