// The loss and its gradient for a sum of two divergences: two token positions, four tokens in the vocabulary.
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

int main() {
    const int rows = 2, vocabulary = 4;
    const std::vector<float> student{1, 2, 3, 4, 2, 0, 1, 0}, teacher{1, 3, 3, 2, 0, 0, 1, 3};
    std::vector<float> gradient(student.size());

    distill::loss f{0.7 * distill::reverse_kl{} + 0.3 * distill::jensen_shannon{0.5}, distill::eigen{},
                    distill::token_mean{}};
    distill::batch<float> in{.student = {student.data(), rows, vocabulary}, .teacher = {teacher.data(), rows, vocabulary}};
    const auto result = f(in, {gradient.data(), rows, vocabulary});

    std::printf("loss %.6f over %td rows\n", result.value, result.active_rows);
    for (const float g : gradient) std::printf("% .6f\n", g);
}
