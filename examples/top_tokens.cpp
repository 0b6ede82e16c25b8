// A teacher that sends its most probable tokens instead of its logits: ids and log-probabilities, k per position.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

int main() {
    const int rows = 2, vocabulary = 6;
    // In row 0 the student hardly has any of the tokens that the teacher likes best.
    const std::vector<float> student{4, 1, 2, -5, -5, -6, 1, 2, 0, 1, 3, 0};
    // k = 3. Row 1 has two, and -100 where the third would be. The log-probabilities are those of the whole vocabulary.
    const std::vector<std::int32_t> top_tokens{3, 4, 5, 4, 1, -100};
    const std::vector<float> top_log_probs{-0.7f, -1.2f, -2.3f, -0.4f, -1.6f, 0};
    distill::batch<float> in{
        .student = {student.data(), rows, vocabulary}, .top_tokens = top_tokens, .top_log_probs = top_log_probs};

    std::vector<float> gradient(student.size());
    const auto print = [&](const char* name, const auto& term) {
        const distill::loss f{term, distill::eigen{}, distill::token_sum{}};
        const double value = f(in, {gradient.data(), rows, vocabulary}).value;
        std::printf("%-22s %9.6f   %9.6f %9.6f %9.6f\n", name, value, gradient[3], gradient[5], gradient[0]);
    };
    using distill::top_forward_kl, distill::truncation;
    std::printf("%-22s %9s   dL/dz of row 0 at 3, 5 and 0\n", "", "loss");
    print("tail bucket", distill::on_top_tokens{distill::forward_kl{}});
    print("teacher renormalised", top_forward_kl<truncation::teacher_renormalized>{});
    print("teacher truncated", top_forward_kl<truncation::teacher_truncated>{});
    print("blind to mass outside", top_forward_kl<truncation::blind_to_mass_outside>{});

    // TGPO, with the teacher's most probable tokens for guidance in the place of the one it predicts.
    const std::vector<std::int32_t> tokens{0, 1};
    const std::vector<float> old_log_probs{-0.2f, -1.5f}, advantages{1, -1};
    in.tokens = tokens;
    in.old_log_probs = old_log_probs;
    in.advantages = advantages;
    for (const int step : {1, 101, 201}) {
        const double coefficient = distill::linear_annealing{}(step);
        if (coefficient == 0.0) in.top_tokens = {}, in.top_log_probs = {};  // from here on no teacher is needed
        const auto objective = distill::clipped_surrogate{} + coefficient * distill::on_top_tokens{distill::forward_kl{}};
        const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
        std::printf("step %3d  coefficient %.4f  loss %.6f\n", step, coefficient,
                    f(in, {gradient.data(), rows, vocabulary}).value);
    }
}
