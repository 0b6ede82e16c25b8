// One batch in two parts, on two accumulation steps or two ranks: exact where the denominator is that of the whole.
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

int main() {
    const std::vector<float> student{1, 2, 3, 2, 0, 1, 0, 0, 1, 4, 1, 0, 0, 2, 2};
    const std::vector<float> teacher{1, 3, 3, 0, 0, 1, 0, 1, 1, 1, 2, 3, 3, 0, 1};
    const std::vector<float> weights{1, 1, 1, 1, 0};
    const auto rows = [&](std::size_t first, std::size_t count) {
        return distill::batch<float>{.student = {&student[3 * first], count, 3},
                                     .teacher = {&teacher[3 * first], count, 3},
                                     .weights = std::span(weights).subspan(first, count)};
    };
    const distill::loss whole{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    std::vector<float> expected(15), gradient(15);
    std::printf("whole batch             %.6f\n", whole(rows(0, 5), {expected.data(), 5, 3}).value);
    std::printf("mean of the two means   %.6f\n", 0.5 * (whole(rows(0, 3)).value + whole(rows(3, 2)).value));

    // The sum of the weights of all rows, known before the first part is computed.
    const double all = 4.0;
    const distill::loss part{distill::forward_kl{}, distill::eigen{}, distill::token_mean{all}};
    const double first = part(rows(0, 3), {&gradient[0], 3, 3}).value;
    const double second = part(rows(3, 2), {&gradient[9], 2, 3}).value;
    std::printf("sum of the two parts    %.6f\n", first + second);

    double largest = 0.0;
    for (std::size_t i = 0; i < gradient.size(); ++i)
        largest = std::fmax(largest, static_cast<double>(std::fabs(gradient[i] - expected[i])));
    std::printf("gradients               %s\n", largest < 1e-7 ? "agree" : "differ");

    // Two calls, one gradient: the second adds to what the first wrote.
    const distill::loss other{distill::entropy{}, distill::eigen{}, distill::token_mean{}};
    const distill::loss both{distill::forward_kl{} + distill::entropy{}, distill::eigen{}, distill::token_mean{}};
    const distill::logits_view<float> destination(gradient.data(), 5, 3);
    whole(rows(0, 5), destination);
    other(rows(0, 5), distill::accumulate(destination));
    both(rows(0, 5), {expected.data(), 5, 3});
    largest = 0.0;
    for (std::size_t i = 0; i < gradient.size(); ++i)
        largest = std::fmax(largest, static_cast<double>(std::fabs(gradient[i] - expected[i])));
    std::printf("accumulated, in one sum %s\n", largest < 1e-7 ? "agree" : "differ");
}
