// One GSPO step: one importance ratio per sequence, from the log-probabilities of its tokens now and when it was sampled.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

int main() {
    // Two rollouts of one prompt, of 3 and 2 tokens. Row i's logits predict tokens[i].
    const int rows = 5, vocabulary = 4;
    const std::vector<double> student{2, 1, 0, 0, 0, 3, 1, 0, 1, 1, 1, 1, 0, 0, 0, 4, 1, 2, 0, 0};
    const std::vector<std::int32_t> tokens{0, 1, 2, 3, 0}, offsets{0, 3, 5};
    const std::vector<double> old_log_probs{-0.4950, -0.2125, -1.3868, -0.0540, -1.4955};
    const std::vector<double> of_rollout{0.7, -0.7};  // each rollout's advantage within its group
    std::vector<double> advantages(rows), gradient(student.size());
    distill::spread_over_rows(of_rollout, offsets, std::span(advantages));
    const distill::logits_view<const double> z(student.data(), rows, vocabulary);

    // log p(y) of the student as it is now: the negatives of cross-entropy's row losses, with the sampled tokens for labels.
    std::vector<double> log_ratios(rows);
    const distill::loss now{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}};
    now.per_token(distill::batch<double>{.student = z, .labels = tokens}, std::span(log_ratios));
    for (std::size_t row = 0; row < rows; ++row) log_ratios[row] = -log_ratios[row] - old_log_probs[row];
    // Every row gets the mean over its sequence, in place. Padded batches pass their weights too.
    distill::sequence_means(log_ratios, offsets, std::span(log_ratios));

    const distill::batch<double> in{.student = z,
                                    .tokens = tokens,
                                    .advantages = advantages,
                                    .sequence_offsets = offsets,
                                    .sequence_log_ratios = log_ratios};
    // A row is clipped where its sequence's ratio is beyond 1 - 3e-4 or 1 + 4e-4, the default bounds.
    const distill::loss f{distill::sequence_surrogate{}, distill::eigen{}, distill::sequence_mean{}};
    const auto r = f(in, {gradient.data(), rows, vocabulary});
    std::printf("log s  % .6f  % .6f\n", log_ratios[0], log_ratios[3]);
    std::printf("loss % .6f  clipped rows %td of %td\n", r.value, r.clipped_rows, r.active_rows);
    std::printf("gradient at the second's tokens  % .6f  % .6f\n", gradient[15], gradient[16]);
}
