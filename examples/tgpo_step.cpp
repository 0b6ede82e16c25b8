// One TGPO step: rewards -> group-normalised advantages -> clipped surrogate + annealed guidance on the teacher's tokens.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

int main() {
    // Two rollouts of one prompt, of 3 and 2 tokens; 4 tokens in the vocabulary. Row i's logits predict tokens[i].
    const std::vector<float> student{2, 1, 0, 0, 0, 3, 1, 0, 1, 1, 1, 1, 0, 0, 0, 4, 1, 2, 0, 0};
    const std::vector<std::int32_t> tokens{0, 1, 2, 3, 0}, teacher_tokens{0, 1, 3, 1, 1};
    const std::vector<float> old_log_probs{-0.44f, -0.17f, -1.7f, -0.05f, -1.5f};
    const std::vector<std::int32_t> sequence_offsets{0, 3, 5};

    const std::vector<float> rewards{1, 0};  // the verifier's score of each rollout
    std::vector<float> of_rollout(rewards.size());
    distill::group_advantages(rewards, std::vector<std::int32_t>{0, 2}, std::span(of_rollout));
    std::vector<float> advantages(tokens.size());
    distill::spread_over_rows(of_rollout, sequence_offsets, std::span(advantages));

    const distill::batch<float> in{.student = {student.data(), 5, 4},
                                   .tokens = tokens,
                                   .teacher_tokens = teacher_tokens,
                                   .old_log_probs = old_log_probs,
                                   .advantages = advantages};
    const distill::linear_annealing coefficient{.initial = 2e-3, .decrement = 1e-5};
    std::vector<float> gradient(student.size());

    for (const int step : {1, 101, 201}) {
        const distill::tgpo objective{.coefficient = coefficient(step), .surrogate = {.lower = 0.8, .upper = 1.28}};
        const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
        const auto r = f(in, {gradient.data(), 5, 4});
        std::printf("step %3d  coefficient %.4f  loss %.6f  clip fraction %.2f  gradient[0] % .6f\n", step,
                    coefficient(step), r.value, r.clip_fraction(), gradient[0]);
    }
}
