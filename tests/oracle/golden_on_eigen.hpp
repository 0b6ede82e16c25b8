// Golden cases on the SIMD backend. A row program takes its path from the kinds of its terms, so one objective per path is
// compiled, and terms of coefficient 0 make it serve every case of that path.
#pragma once

#include "golden_case.hpp"

namespace distill_test {

template <class Element>
golden_answer on_eigen(const golden_case& c) {
    using namespace distill;
    const chosen_reduction reduction{c.reduction, c.denominator};
    const auto answer = [&](const auto& objective) { return call<Element>(c, objective, eigen{}, reduction); };

    // {forward KL, reverse KL, JSD, TV, Hellinger}, and {cross-entropy, guidance, policy gradient, surrogate}.
    const auto sum = [&](double forward, double reverse, double jensen, double variation, double hellinger) {
        const double b = c.optional_parameter("teacher_weight").value_or(0.5);
        return answer(forward * forward_kl{} + reverse * reverse_kl{} + jensen * jensen_shannon{b} +
                      variation * total_variation{} + hellinger * squared_hellinger{});
    };
    const auto tokens = [&](double hard, double guidance, double policy, double surrogate) {
        const auto clipped = surrogate != 0.0 ? c.surrogate() : clipped_surrogate{};
        return answer(hard * cross_entropy{} + guidance * teacher_guidance{} + policy * policy_gradient{} +
                      surrogate * clipped);
    };
    if (c.objective == "reverse_kl") return sum(0.0, 1.0, 0.0, 0.0, 0.0);
    if (c.objective == "jensen_shannon") return sum(0.0, 0.0, 1.0, 0.0, 0.0);
    if (c.objective == "total_variation") return sum(0.0, 0.0, 0.0, 1.0, 0.0);
    if (c.objective == "squared_hellinger") return sum(0.0, 0.0, 0.0, 0.0, 1.0);
    if (c.objective == "forward_reverse_jensen")
        return sum(c.parameter("forward_kl"), c.parameter("reverse_kl"), c.parameter("jensen_shannon"), 0.0, 0.0);
    if (c.objective == "cross_entropy") return tokens(1.0, 0.0, 0.0, 0.0);
    if (c.objective == "teacher_guidance") return tokens(0.0, 1.0, 0.0, 0.0);
    if (c.objective == "policy_gradient") return tokens(0.0, 0.0, 1.0, 0.0);
    if (c.objective == "clipped_surrogate") return tokens(0.0, 0.0, 0.0, 1.0);
    if (c.objective == "tgpo") return tokens(0.0, c.parameter("coefficient"), 0.0, 1.0);
    if (c.objective == "forward_kl") return answer(forward_kl{});
    if (c.objective == "entropy") return answer(entropy{});
    if (c.objective == "hinton") {
        const double t = c.parameter("temperature");
        return answer(c.parameter("hard") * cross_entropy{} +
                      at_temperature(temperature(t), c.parameter("soft") * t * t * forward_kl{}));
    }
    throw std::runtime_error("golden.json names an unknown objective: " + c.objective);
}

}  // namespace distill_test
