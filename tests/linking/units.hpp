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
    return f(in, {gradient, rows, vocabulary}).value + found[0].forward_kl + static_cast<double>(gradient[5]);
}

inline unit this_unit() {
    return {.loss = [] { return loss_on(distill::eigen{}) + loss_on(distill::reference{}); },
            .refused =
                [] {
                    static_cast<void>(distill::loss{distill::jensen_shannon{2.0}, distill::eigen{},
                                                    distill::token_mean{}}(distill::batch<float>{}));
                },
            .set_handler = [](distill::error_handler handler) { return distill::set_error_handler(handler); }};
}

}  // namespace
