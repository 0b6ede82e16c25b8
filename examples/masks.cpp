// Masks from sequence lengths: the padded layout of a trainer, and the packed one. Row i's logits predict tokens[i].
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

int main() {
    // Two sequences, padded to 4 tokens. The models' logits at position t predict token t + 1: there are 3 rows each.
    const std::size_t sequences = 2, longest = 4, vocabulary = 3, rows_each = longest - 1;
    const std::vector<std::int32_t> ids{0, 1, 2, 1, 2, 0, -1, -1}, lengths{4, 2}, prompts{2, 1};
    std::vector<float> logits;
    for (std::size_t i = 0; i < sequences * longest * vocabulary; ++i) logits.push_back(static_cast<float>(i * 5 % 7));

    // All positions stay in the view. The last of a sequence predicts nothing: weight 0, as prompts and padding have.
    std::vector<float> weights(sequences * longest);
    std::vector<std::int32_t> labels(sequences * longest, static_cast<std::int32_t>(distill::ignored_label));
    std::vector<std::int32_t> offsets{0};
    for (std::size_t s = 0; s < sequences; ++s) {
        for (std::size_t t = 0; t < rows_each; ++t) {
            const auto next = static_cast<std::int32_t>(t + 1);
            const bool answer = next >= prompts[s] && next < lengths[s];
            weights[s * longest + t] = answer ? 1.0f : 0.0f;
            if (answer) labels[s * longest + t] = ids[s * longest + t + 1];
        }
        offsets.push_back(static_cast<std::int32_t>((s + 1) * longest));
    }
    const distill::logits_view<const float> z(logits.data(), sequences * longest, vocabulary);
    const distill::loss f{distill::cross_entropy{}, distill::eigen{}, distill::sequence_mean{}};
    const auto by_label = f(distill::batch<float>{.student = z, .labels = labels, .sequence_offsets = offsets});
    std::printf("masked by label   %.6f over %td rows\n", by_label.value, by_label.active_rows);

    // Where the weight is 0 any token will do as a label.
    for (auto& label : labels) label = label < 0 ? 0 : label;
    const auto by_weight =
        f(distill::batch<float>{.student = z, .weights = weights, .labels = labels, .sequence_offsets = offsets});
    std::printf("masked by weight  %.6f over %td rows\n", by_weight.value, by_weight.active_rows);

    // Packed: the three answer rows one after the other.
    const std::vector<float> packed{logits[3], logits[4],  logits[5],  logits[6], logits[7],
                                    logits[8], logits[12], logits[13], logits[14]};
    const std::vector<std::int32_t> packed_labels{2, 1, 0}, packed_offsets{0, 2, 3};
    const auto r = f(distill::batch<float>{
        .student = {packed.data(), 3, 3}, .labels = packed_labels, .sequence_offsets = packed_offsets});
    std::printf("packed            %.6f over %td rows\n", r.value, r.active_rows);
}
