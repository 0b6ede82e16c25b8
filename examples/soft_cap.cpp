// A model whose head ends in 30 tanh(x / 30), called on the logits before it: no capped copy is made, and
// the gradient is with respect to them.
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

int main() {
    const int rows = 2, vocabulary = 4;
    const std::vector<float> student{12, 25, -8, 3, 40, 38, 0, 1}, teacher{20, 24, -9, 3, 45, 30, 2, 1};
    std::vector<float> gradient(student.size());
    const distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                   .teacher = {teacher.data(), rows, vocabulary}};

    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}, distill::temperature{1.0},
                          distill::soft_cap{30.0}};
    const auto result = f(in, {gradient.data(), rows, vocabulary});

    std::printf("loss %.6f\n", result.value);
    for (const float g : gradient) std::printf("% .6f\n", g);
}
