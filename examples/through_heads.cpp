// From hidden states and weights to the loss and their gradients: the logits of 64 rows at a time are in memory, never all.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/head/eigen_product.hpp>
#include <distill/head/through_heads.hpp>
#include <vector>

int main() {
    const int rows = 300, vocabulary = 1000, d = 16, teacher_d = 24;
    const auto numbers = [](int count, int seed, float scale) {
        std::vector<float> values(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i)
            values[static_cast<std::size_t>(i)] = scale * std::sin(static_cast<float>((i + seed) % 9973));
        return values;
    };
    const auto h = numbers(rows * d, 1, 1.0f), w = numbers(vocabulary * d, 2, 0.5f), b = numbers(vocabulary, 3, 0.1f);
    const auto teacher_h = numbers(rows * teacher_d, 4, 1.0f), teacher_w = numbers(vocabulary * teacher_d, 5, 0.5f);
    std::vector<float> weights(rows, 1.0f);
    for (std::size_t i = 0; i < weights.size(); i += 3) weights[i] = 0.0f;  // masked: these rows cost no product

    const distill::linear_head<float> student{.hidden = {h.data(), rows, d}, .weight = {w.data(), vocabulary, d}, .bias = b};
    const distill::linear_head<float> teacher{.hidden = {teacher_h.data(), rows, teacher_d},
                                              .weight = {teacher_w.data(), vocabulary, teacher_d}};
    const distill::batch<float> in{.weights = weights};

    const distill::loss loss{distill::jensen_shannon{0.5}, distill::eigen{}, distill::token_mean{}};
    const distill::through_heads f{loss, distill::eigen_product{}, distill::rows_at_once{64}};
    std::vector<std::byte> memory(f.workspace_bytes(student, teacher));
    std::vector<float> dh(h.size()), dw(w.size()), db(b.size());
    const auto r =
        f(student, teacher, in, {.hidden = {dh.data(), rows, d}, .weight = {dw.data(), vocabulary, d}, .bias = db}, memory);
    std::printf("loss %.4f over %td rows\n", r.value, r.active_rows);

    // Frozen weights: leave them out. Micro-batches: add to what is there.
    f(student, teacher, in, {.hidden = {dh.data(), rows, d}}, memory);
    std::vector<float> sum(w.size());
    const distill::matrix_view dw_sum{sum.data(), vocabulary, d};
    for (int step = 0; step < 2; ++step) f(student, teacher, in, {.weight = accumulate(dw_sum)}, memory);
    float largest = 0.0f;
    for (std::size_t i = 0; i < sum.size(); ++i) largest = std::fmax(largest, std::fabs(sum[i] - 2.0f * dw[i]));
    std::printf("two steps add up: %s\n", largest < 1e-6f ? "yes" : "no");
}
