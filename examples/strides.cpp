// Padded vocabularies of different widths, the gradient in the student's own buffer, and 16-bit logits.
#include <Eigen/Core>
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <limits>
#include <vector>

int main() {
    // 3 entries of vocabulary; the student's rows are padded to 4 entries, the teacher's to 5. Padding is never read.
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> student{1, 2, 3, nan, 3, 2, 1, nan};
    const std::vector<float> teacher{1, 1, 3, nan, nan, 3, 3, 1, nan, nan};
    const distill::logits_view<float> z(student.data(), 2, 3, 4);
    const distill::batch<float> in{.student = z, .teacher = {teacher.data(), 2, 3, 5}};

    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    std::printf("loss %.6f\n", f(in).value);

    // In place, with zeros in the padding, for a matrix product over the full width afterwards.
    f(in, distill::zero_padding(z));
    for (std::size_t i = 0; i < student.size(); ++i) std::printf("% .6f%c", student[i], i % 4 == 3 ? '\n' : ' ');

    // A student in 16-bit memory that a framework calls bfloat16, beside a teacher in float. Its gradient is bfloat16 too.
    std::vector<std::uint16_t> memory{0x3f80, 0x4000, 0x4040, 0x4040, 0x4000, 0x3f80};  // 1 2 3, 3 2 1
    auto* const narrow = reinterpret_cast<Eigen::bfloat16*>(memory.data());
    const distill::batch<Eigen::bfloat16, float> mixed{.student = {narrow, 2, 3}, .teacher = in.teacher};
    std::printf("bfloat16 %.6f\n", f(mixed, {narrow, 2, 3}).value);  // in place
    std::printf("% .6f\n", static_cast<double>(narrow[0]));
    // A gradient of another type than the student's is passed as a logits_view, which names its type.
    const std::vector<Eigen::half> half{Eigen::half(1), Eigen::half(2), Eigen::half(3)};
    std::vector<float> wide(3);
    f(distill::batch<Eigen::half, float>{.student = {half.data(), 1, 3}, .teacher = {teacher.data(), 1, 3}},
      distill::logits_view<float>(wide.data(), 1, 3));
    std::printf("% .6f\n", wide[0]);
}
