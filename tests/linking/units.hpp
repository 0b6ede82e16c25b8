// One program of two translation units: what each has, under its own flags.
#pragma once

#include <distill/distill.hpp>

// What a unit does with the library. Both units have the same text, compiled with different flags.
struct unit {
    double (*loss)();   ///< a loss, a gradient and a diagnosis
    void (*refused)();  ///< throws distill::invalid_input
    distill::error_handler (*set_handler)(distill::error_handler);
};

namespace {

template <class Backend>
double loss_on(const Backend& backend) {
    constexpr int rows = 3, vocabulary = 70;
    static float student[rows * vocabulary], teacher[rows * vocabulary], gradient[rows * vocabulary];
    static int tokens[rows];
    for (int i = 0; i < rows * vocabulary; ++i) {
        student[i] = static_cast<float>(i % 7);
        teacher[i] = static_cast<float>(i % 5);
    }
    const distill::batch<float> in{
        .student = {student, rows, vocabulary}, .teacher = {teacher, rows, vocabulary}, .tokens = tokens, .labels = tokens};
    const distill::loss f{0.7 * distill::reverse_kl{} + 0.3 * distill::jensen_shannon{0.5} + 0.1 * distill::cross_entropy{},
                          backend, distill::token_mean{}};
    static distill::row_diagnosis found[rows];
    distill::diagnose(in, backend, found);
    return f(in, {gradient, rows, vocabulary}).value + distill::summarize(found).forward_kl.mean +
           static_cast<double>(gradient[5]);
}

double of_helpers() {
    static const double values[]{3.0, 1.0, 2.0, 5.0, 4.0, 0.5};
    static const int offsets[]{0, 2, 6}, lengths[]{1, 3};
    static float a[6], b[6];
    const auto out = std::span<float>(a);
    distill::group_advantages(values, offsets, out);
    double sum = static_cast<double>(a[0]) + distill::quantile(values, 0.3);
    distill::shape_advantages(values, values, 0.5, distill::label_reward{}, out);
    sum += static_cast<double>(a[0]);
    distill::sequence_means(values, offsets, out);
    sum += static_cast<double>(a[0]);
    distill::gate_above(values, 1.5, std::span<float>(b));
    sum += static_cast<double>(b[0]);
    distill::weights_of_padded_batch(lengths, 3, out);
    return sum + static_cast<double>(a[0]);
}

inline unit this_unit() {
    return {.loss = [] { return loss_on(distill::eigen{}) + loss_on(distill::reference{}) + of_helpers(); },
            .refused =
                [] {
                    static_cast<void>(distill::loss{distill::jensen_shannon{2.0}, distill::eigen{},
                                                    distill::token_mean{}}(distill::batch<float>{}));
                },
            .set_handler = [](distill::error_handler handler) { return distill::set_error_handler(handler); }};
}

}  // namespace
