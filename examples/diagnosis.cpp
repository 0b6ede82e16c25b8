// How far student and teacher are apart: row by row, and over many batches; alone, and beside a gradient.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

void print(const char* name, const distill::statistic& s) {
    std::printf("%-18s %8.4f +- %.4f  median %8.4f  largest %8.4f\n", name, s.mean, s.standard_error, s.median(), s.largest);
}

int main() {
    const std::ptrdiff_t rows = 4, vocabulary = 4;
    const std::vector<float> student{3, 1, 0, 0, 1, 1, 3, 0, 2, 0, 0, 2, 4, 0, 0, -6};
    const std::vector<float> teacher{3, 1, 0, 1, 1, 2, 2, 0, 0, 0, 1, 3, 1, 0, 0, 4};
    const std::vector<std::int32_t> tokens{0, 2, 3, 0};
    const distill::batch<float> in{
        .student = {student.data(), rows, vocabulary}, .teacher = {teacher.data(), rows, vocabulary}, .tokens = tokens};

    // The first two rows, then, as a second batch, the others: each call fills its part.
    std::vector<distill::row_diagnosis> found(4);
    const auto part = [&](std::size_t first) {
        auto two = in;
        two.student = {student.data() + first * 4, 2, vocabulary};
        two.teacher = {teacher.data() + first * 4, 2, vocabulary};
        two.tokens = std::span(tokens).subspan(first, 2);
        distill::diagnose(two, distill::eigen{}, std::span(found).subspan(first, 2));
    };
    part(0);
    part(2);
    const distill::diagnosis d = distill::summarize(found);
    print("forward KL(q||p)", d.forward_kl);
    print("reverse KL(p||q)", d.reverse_kl);
    print("log p(y*)", d.teacher_top_log_p);
    print("log p(y) - log q(y)", d.log_ratio);
    std::printf("same most probable token on %.0f %% of %td rows\n", 100.0 * d.same_top.mean, d.rows);
    std::printf("perplexity of y: teacher %.4f, student %.4f\n", d.teacher_perplexity, d.student_perplexity);

    // Beside a gradient: one call, each row read from memory once. Row 2 is masked.
    const std::vector<float> weights{1, 1, 0, 1};
    auto masked = in;
    masked.weights = weights;
    std::vector<float> gradient(student.size());
    const distill::loss f{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    const auto result = distill::diagnose(f, masked, {gradient.data(), rows, vocabulary}, std::span(found));
    std::printf("loss %.6f, mean of its rows %.6f over %td rows\n", result.value, distill::summarize(found).reverse_kl.mean,
                distill::summarize(found).rows);
}
