// The committed golden values, and the objectives that their keys name.
#pragma once

#include <distill/distill.hpp>

#include <support/rows.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace distill_test {

// One case of golden.json; README.md there says what its members mean. An absent array is empty.
struct golden_case {
    std::string name, objective, reduction;
    std::map<std::string, double> parameters;
    distill::temperature temperature;
    std::optional<double> denominator;
    std::size_t rows, vocabulary;
    std::vector<double> student, teacher, weights, old_log_probs, teacher_log_probs, advantages, temperatures, coefficients;
    std::vector<double> sequence_log_ratios;  // not in the file: present_log_ratios finds them
    std::vector<std::int64_t> tokens, teacher_tokens, labels, sequence_offsets;
    double loss;
    std::vector<double> row_losses, gradient;

    [[nodiscard]] double parameter(const char* key) const { return parameters.at(key); }
    [[nodiscard]] std::optional<double> optional_parameter(const char* key) const {
        return parameters.count(key) > 0 ? std::optional(parameters.at(key)) : std::nullopt;
    }
    [[nodiscard]] distill::clipped_surrogate surrogate() const {
        return {.lower = parameter("lower"), .upper = parameter("upper"), .dual_clip = optional_parameter("dual_clip")};
    }
    template <distill::importance Importance>
    [[nodiscard]] distill::log_ratio_advantage<Importance> log_ratio() const {
        return distill::log_ratio_advantage<Importance>{parameter("floor"), parameter("ceiling"),
                                                        parameter("drops_outside") != 0.0};
    }
};

// What another system computes, and the case that gives the same here: loss = factor * ours + excess, gradient = factor * ours.
// The case's own loss and gradient are those of the system; row losses it has none.
struct golden_system {
    golden_case ours;
    std::string system;
    double factor, excess;
};

// golden.json, read once.
const nlohmann::json& golden_file();
const std::vector<golden_case>& golden_cases();
const std::vector<golden_system>& golden_systems();

// What one call answers, in double.
struct golden_answer {
    double loss;
    std::vector<double> row_losses, gradient;
};

// A case on a backend. Each stands in a translation unit of its own.
golden_answer on_reference(const golden_case&);
golden_answer on_eigen_float(const golden_case&);
golden_answer on_eigen_double(const golden_case&);

// A reduction chosen when the program runs: it asks the library's own for the factor and the denominator, and always needs
// offsets.
struct chosen_reduction {
    static constexpr bool needs_sequences = true;
    std::string name;
    std::optional<double> given;

    template <class Visitor>
    double visit(const Visitor& visitor) const {
        const auto with_denominator = [&](auto reduction) {
            if (given) reduction = decltype(reduction)(*given);
            return visitor(reduction);
        };
        if (name == "token_mean") return with_denominator(distill::token_mean{});
        if (name == "token_sum") return with_denominator(distill::token_sum{});
        if (name == "sequence_mean") return with_denominator(distill::sequence_mean{});
        if (name == "sequence_mean_of_sums") return with_denominator(distill::sequence_mean_of_sums{});
        if (name == "normalized_by") return visitor(distill::normalized_by{given.value()});
        throw std::runtime_error("golden.json names an unknown reduction: " + name);
    }
    [[nodiscard]] double sequence_factor(double sequence_weight) const {
        return visit([&](const auto& reduction) { return reduction.sequence_factor(sequence_weight); });
    }
    [[nodiscard]] double denominator(const distill::row_totals& totals) const {
        return visit([&](const auto& reduction) { return reduction.denominator(totals); });
    }
};

// A case in buffers of one element type, called with one objective.
template <class Element, class Objective, class Backend, class Reduction>
golden_answer call(const golden_case& c, const Objective& objective, const Backend& backend, const Reduction& reduction) {
    const std::vector<Element> student(c.student.begin(), c.student.end()), teacher(c.teacher.begin(), c.teacher.end());
    std::vector<Element> gradient(student.size());
    std::vector<std::int64_t> offsets = c.sequence_offsets;
    if (Reduction::needs_sequences && offsets.empty()) offsets = {0, static_cast<std::int64_t>(c.rows)};
    distill::batch<Element> in = batch_of(c, student, teacher);
    if (teacher.empty()) in.teacher = {};
    in.sequence_offsets = offsets;
    in.temperatures = c.temperatures;
    in.coefficients = c.coefficients;
    const distill::loss f{objective, backend, reduction, c.temperature};
    std::vector<double> row_losses(c.rows);
    const auto result =
        f.per_token(in, std::span(row_losses), distill::logits_view<Element>{gradient.data(), c.rows, c.vocabulary});
    return {result.value, row_losses, std::vector<double>(gradient.begin(), gradient.end())};
}

// Where golden.json's keys become types. visit(objective) is called once.
template <class Visitor>
golden_answer with_objective(const golden_case& c, const Visitor& visit) {
    using namespace distill;
    if (c.objective == "forward_kl") return visit(forward_kl{});
    if (c.objective == "reverse_kl") return visit(reverse_kl{});
    if (c.objective == "jensen_shannon") return visit(jensen_shannon{c.parameter("teacher_weight")});
    if (c.objective == "skew_forward_kl") return visit(skew_forward_kl{c.parameter("share")});
    if (c.objective == "skew_reverse_kl") return visit(skew_reverse_kl{c.parameter("share")});
    if (c.objective == "chi_squared") return visit(chi_squared{});
    if (c.objective == "alpha_beta") return visit(alpha_beta{c.parameter("alpha"), c.parameter("beta")});
    if (c.objective == "total_variation") return visit(total_variation{});
    if (c.objective == "squared_hellinger") return visit(squared_hellinger{});
    if (c.objective == "entropy") return visit(entropy{});
    if (c.objective == "cross_entropy") return visit(cross_entropy{});
    if (c.objective == "teacher_guidance") return visit(teacher_guidance{});
    if (c.objective == "policy_gradient") return visit(policy_gradient{});
    if (c.objective == "clipped_surrogate") return visit(c.surrogate());
    if (c.objective == "tgpo") return visit(tgpo{.coefficient = c.parameter("coefficient"), .surrogate = c.surrogate()});
    if (c.objective == "forward_reverse_jensen")
        return visit(c.parameter("forward_kl") * forward_kl{} + c.parameter("reverse_kl") * reverse_kl{} +
                     c.parameter("jensen_shannon") * jensen_shannon{c.parameter("teacher_weight")});
    if (c.objective == "hinton")
        return visit(hinton{
            .soft_temperature = c.parameter("temperature"), .hard = c.parameter("hard"), .soft = c.parameter("soft")});
    if (c.objective == "adaptive_kl") return visit(adaptive_kl{c.parameter("head_mass")});
    if (c.objective == "uniform_cross_entropy") return visit(uniform_cross_entropy{});
    if (c.objective == "smoothed_cross_entropy") return visit(smoothed_cross_entropy{c.parameter("smoothing")});
    if (c.objective == "z_loss") return visit(z_loss{});
    if (c.objective == "forward_kl_and_z_loss") return visit(forward_kl{} + c.parameter("coefficient") * z_loss{});
    if (c.objective == "log_ratio_advantage") return visit(c.log_ratio<importance::none>());
    if (c.objective == "log_ratio_advantage_with_ratio") return visit(c.log_ratio<importance::ratio>());
    if (c.objective == "opd") return visit(opd{c.parameter("coefficient")});
    if (c.objective == "vopd") return visit(vopd{c.parameter("coefficient")});
    if (c.objective == "power_advantage") return visit(power_advantage<>{c.parameter("exponent")});
    if (c.objective == "power_advantage_with_ratio")
        return visit(power_advantage<importance::ratio>{c.parameter("exponent")});
    if (c.objective == "mixture_advantage") return visit(mixture_advantage<>{c.parameter("teacher_share")});
    if (c.objective == "mixture_advantage_with_ratio")
        return visit(mixture_advantage<importance::ratio>{c.parameter("teacher_share")});
    if (c.objective == "clipped_importance") return visit(clipped_importance{c.parameter("lower"), c.parameter("upper")});
    if (c.objective == "sequence_surrogate") return visit(sequence_surrogate{c.parameter("lower"), c.parameter("upper")});
    if (c.objective == "kl_estimator") {
        using enum kl_estimate;
        const double value = c.parameter("value");
        if (c.parameter("gradient") == 2.0)
            return value == 1.0   ? visit(kl_estimator<k1, k2>{})
                   : value == 2.0 ? visit(kl_estimator<k2, k2>{})
                                  : visit(kl_estimator<k3, k2>{});
        return value == 1.0   ? visit(kl_estimator<k1, k3>{})
               : value == 2.0 ? visit(kl_estimator<k2, k3>{})
                              : visit(kl_estimator<k3, k3>{});
    }
    if (c.objective == "kdrl") return visit(kdrl{.coefficient = c.parameter("coefficient"), .surrogate = c.surrogate()});
    if (c.objective == "gkd") return visit(gkd{c.parameter("teacher_weight"), c.parameter("temperature")});
    if (c.objective == "minillm")
        return visit(minillm{.single_step = c.parameter("single_step"),
                             .surrogate_weight = c.parameter("surrogate_weight"),
                             .surrogate = c.surrogate()});
    if (c.objective == "distillm") return visit(distillm{c.parameter("ratio"), c.parameter("share")});
    if (c.objective == "abkd") return visit(abkd{c.parameter("ratio"), c.parameter("alpha"), c.parameter("beta")});
    if (c.objective == "gated_tgpo") return visit(c.surrogate() + per_row(c.parameter("coefficient") * teacher_guidance{}));
    if (c.objective == "gated_forward_kl") return visit(reverse_kl{} + per_row(c.parameter("coefficient") * forward_kl{}));
    throw std::runtime_error("golden.json names an unknown objective: " + c.objective);
}

}  // namespace distill_test
