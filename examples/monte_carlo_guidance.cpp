// Guidance on a token that is drawn from the teacher: one label per row and step, forward KL on average.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

int main() {
    const int rows = 3, vocabulary = 3;
    const std::vector<float> student{0, 1, 2, 2, 1, 0, 1, 1, 1}, teacher{2, 1, 0, 2, 1, 0, 0, 0, 3};
    const distill::batch<float> all{.student = {student.data(), rows, vocabulary},
                                    .teacher = {teacher.data(), rows, vocabulary}};
    std::vector<float> gradient(student.size()), expected(student.size());
    std::vector<double> mean(student.size());

    const std::uint64_t steps = 4096;
    for (std::uint64_t step = 0; step < steps; ++step) {
        const distill::loss f{distill::sampled_guidance{step}, distill::eigen{}, distill::token_mean{}};
        f(all, {gradient.data(), rows, vocabulary});
        for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += gradient[i] / static_cast<double>(steps);
    }
    const distill::loss forward{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    forward(all, {expected.data(), rows, vocabulary});
    for (std::size_t i = 0; i < 3; ++i) std::printf("mean over draws % .2f  forward KL % .2f\n", mean[i], expected[i]);

    // In parts: the rows before are counted, so that every row draws what it draws in the whole batch.
    const auto part = [&](int first, int count) {
        const std::int64_t rows_before = first;
        const distill::batch<float> in{.student = {&student[std::size_t(first) * 3], count, vocabulary},
                                       .teacher = {&teacher[std::size_t(first) * 3], count, vocabulary}};
        const distill::loss f{distill::sampled_guidance{7, rows_before}, distill::eigen{}, distill::token_sum{}};
        return f(in).value;
    };
    std::printf("whole %.6f  in two parts %.6f\n", part(0, 3), part(0, 1) + part(1, 2));
}
