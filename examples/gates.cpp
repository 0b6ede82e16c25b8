// Guidance on some rows only, or more on some than on others: a term marked with per_row, and a coefficient for every row.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

int main() {
    // Two rollouts, of 3 and 2 tokens; the first was right, the second was not.
    const int rows = 5, vocabulary = 4;
    const std::vector<float> student{2, 1, 0, 0, 0, 3, 1, 0, 1, 1, 1, 1, 0, 0, 0, 4, 1, 2, 0, 0};
    const std::vector<std::int32_t> tokens{0, 1, 2, 3, 0}, teacher_tokens{0, 1, 3, 1, 1}, offsets{0, 3, 5};
    const std::vector<float> rewards{1, 0}, of_rollout{0.7f, -0.7f}, old_log_probs{-0.44f, -0.17f, -1.39f, -0.05f, -1.49f};
    std::vector<float> advantages(rows), reward_of_row(rows), coefficients(rows), entropies(rows);
    distill::spread_over_rows(of_rollout, offsets, std::span(advantages));
    distill::spread_over_rows(rewards, offsets, std::span(reward_of_row));

    // The batch refers to the coefficients: each call below reads what they hold by then.
    const distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                   .tokens = tokens,
                                   .teacher_tokens = teacher_tokens,
                                   .old_log_probs = old_log_probs,
                                   .advantages = advantages,
                                   .coefficients = coefficients};
    const distill::loss f{distill::clipped_surrogate{} + distill::per_row(0.1 * distill::teacher_guidance{}),
                          distill::eigen{}, distill::token_mean{}};
    const auto print = [&](const char* name) {
        std::printf("%-28s", name);
        for (const float c : coefficients) std::printf(" %.2f", c);
        std::printf("   loss % .6f\n", f(in).value);
    };

    // Where the student's entropy lies above its 0.6 quantile.
    distill::loss{distill::entropy{}, distill::eigen{}, distill::token_mean{}}.per_token(in, std::span(entropies));
    distill::gate_above(entropies, distill::quantile(entropies, 0.6), std::span(coefficients));
    print("uncertain tokens");

    // In rollouts whose reward is below 1/2.
    distill::gate_below(reward_of_row, 0.5, std::span(coefficients));
    print("failed rollouts");

    // Everywhere, by the sigmoid of -A.
    distill::gate_by_failure(advantages, std::span(coefficients));
    print("the worse the rollout");

    // Where the student's entropy lies above a bound: the row finds out in the call itself.
    const distill::loss in_one_pass{distill::clipped_surrogate{} + distill::where(distill::student_entropy_above{1.3},
                                                                                  0.1 * distill::teacher_guidance{}),
                                    distill::eigen{}, distill::token_mean{}};
    std::printf("entropy above 1.3, in the call                     loss % .6f\n", in_one_pass(in).value);
}
