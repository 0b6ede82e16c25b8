// Padded vocabularies of different widths, and the gradient in the student's own buffer.
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
}
