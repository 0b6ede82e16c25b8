// One source, several backends: the build says which, `-DBACKEND=distill::reference` for one.
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

#ifndef BACKEND
#define BACKEND distill::eigen<>
#endif

int main() {
    const int rows = 2, vocabulary = 4;
    const std::vector<float> student{1, 2, 3, 4, 2, 0, 1, 0}, teacher{1, 3, 3, 2, 0, 0, 1, 3};
    std::vector<float> gradient(student.size());
    const distill::loss f{distill::forward_kl{}, BACKEND{}, distill::token_mean{}};
    const distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                   .teacher = {teacher.data(), rows, vocabulary}};
    const auto result = f(in, {gradient.data(), rows, vocabulary});

    std::printf("loss %.6f over %td rows\n", result.value, result.active_rows);
    for (const float g : gradient) std::printf("% .6f\n", g);
}
