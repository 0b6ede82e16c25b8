// What one call of each objective returns and takes, as a table.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/interop/xtensor.hpp>
#include <limits>
#include <vector>

#include "rollout.hpp"

namespace cost {

template <class Objective>
void print_one(const char* name, const Objective& objective, const distill::batch<float>& in) {
    const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
    logits gradient =
        logits::from_shape({static_cast<std::size_t>(in.student.rows), static_cast<std::size_t>(in.student.vocabulary)});
    distill::loss_result result;
    double best = std::numeric_limits<double>::max();
    for (int repeat = 0; repeat < 20; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        result = f(in, distill::view_of(gradient));
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    double squares = 0.0;
    for (const float g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
    std::printf("  %-34s %12.6f %14.6e %10.3f\n", name, result.value, std::sqrt(squares), best * 1e3);
}

inline void print(const rollout& r) {
    distill::batch<float> in = r.batch();
    std::printf("\nLoss, gradient norm and time of one call with gradient, %s:\n", r.name.c_str());
    std::printf("  %-34s %12s %14s %10s\n", "objective", "loss", "|gradient|", "ms");
    print_one("forward_kl", distill::forward_kl{}, in);
    print_one("reverse_kl", distill::reverse_kl{}, in);
    print_one("jensen_shannon{0.5}", distill::jensen_shannon{0.5}, in);
    print_one("total_variation", distill::total_variation{}, in);
    print_one("squared_hellinger", distill::squared_hellinger{}, in);
    print_one("entropy", distill::entropy{}, in);
    print_one("forward + reverse + JSD, fused", distill::forward_kl{} + distill::reverse_kl{} + distill::jensen_shannon{0.5},
              in);
    print_one("teacher_guidance", distill::teacher_guidance{}, in);
    if (r.tokens.empty()) return;
    print_one("cross_entropy on y", distill::cross_entropy{}, in);
    // As at the first update of a step: the old policy is the student itself, and every rollout was rewarded.
    const std::vector<double> old_log_probs = log_probability_of(r.tokens, r.student);
    const std::vector<double> advantages(r.tokens.size(), 1.0);
    in.old_log_probs = old_log_probs;
    in.advantages = advantages;
    print_one("tgpo, advantage 1", distill::tgpo{}, in);
}

}  // namespace cost
