// The same logits from a padded vector, an Eigen block, an xtensor view, a DLPack tensor, a tensor class with the members of
// std::mdspan, and a bfloat16 buffer. The library copies none of them.
#include <dlpack/dlpack.h>

#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/interop/dlpack.hpp>
#include <distill/interop/eigen.hpp>
#include <distill/interop/mdspan.hpp>
#include <distill/interop/span.hpp>
#include <distill/interop/xtensor.hpp>
#include <vector>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

// A tensor class of your own is taken as an mdspan if it has these members.
struct my_matrix {
    using element_type = const float;
    static constexpr std::size_t rank() { return 2; }
    int extent(std::size_t axis) const { return axis == 0 ? 2 : 3; }
    int stride(std::size_t axis) const { return axis == 0 ? 4 : 1; }
    const float* data_handle() const { return data; }
    const float* data;
};

int main() {
    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    const auto print = [](const char* name, double value) { std::printf("%-13s %.6f\n", name, value); };

    // Rows of 3 logits in a buffer padded to 4 columns; the padding is never read.
    std::vector<float> student{1, 2, 3, -9, 3, 2, 1, -9}, teacher{1, 1, 3, -9, 3, 3, 1, -9}, gradient(8);
    const distill::logits_view<float> q = distill::view_of(teacher, 2, 3, 4);
    const distill::batch<float> bare{.student = {student.data(), 2, 3, 4}, .teacher = q};
    print("pointer", f(bare, distill::view_of(gradient, 2, 3, 4)).value);

    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const matrix z = Eigen::Map<const matrix>(student.data(), 2, 4);
    const Eigen::VectorXf weights = Eigen::VectorXf::Ones(2);
    print("Eigen", f(distill::batch<float>{
                         .student = distill::view_of(z.leftCols(3)), .teacher = q, .weights = distill::values_of(weights)})
                       .value);

    const xt::xtensor<float, 2> a{{1, 2, 3, -9}, {3, 2, 1, -9}};
    const auto logits = xt::view(a, xt::all(), xt::range(0, 3));
    print("xtensor", f(distill::batch<float>{.student = distill::view_of(logits), .teacher = q}).value);

    std::int64_t shape[] = {2, 3}, strides[] = {4, 1};
    DLManagedTensor tensor{{student.data(), {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, strides, 0}, nullptr, nullptr};
    const DLManagedTensor* const managed = &tensor;  // as a framework hands it out
    print("DLPack",
          f(distill::batch<float>{.student = distill::view_of<const float>(managed->dl_tensor), .teacher = q}).value);

    const my_matrix m{student.data()};
    print("mdspan", f(distill::batch<float>{.student = distill::view_of(m), .teacher = q}).value);

    const std::vector<Eigen::bfloat16> narrow(student.begin(), student.end());
    print("bfloat16", f(distill::batch<Eigen::bfloat16, float>{.student = {narrow.data(), 2, 3, 4}, .teacher = q}).value);
}
