// Objectives compiled for one instruction set: what is added once for each row, compositions, and what is computed in double.
#include <fuzz/composed.hpp>

namespace fuzz {

namespace {

using distill::importance;
using distill::kl_estimate;
using distill::truncation;

constexpr compiled table[] = {
    entry<float>("skew_forward_kl", [](const parameters& p) { return skew_forward_kl(p.share[0]); }),
    entry<float>("skew_reverse_kl", [](const parameters& p) { return skew_reverse_kl(p.share[0]); }),
    entry<float>("todi", [](const parameters&) { return todi(); }),
    entry<float>("entropy", [](const parameters& p) { return p.weight[0] * entropy(); }),
    entry<float>("uniform_cross_entropy", [](const parameters&) { return uniform_cross_entropy(); }),
    entry<float>("z_loss", [](const parameters& p) { return p.weight[0] * z_loss(); }),
    entry<float>("cross_entropy", [](const parameters&) { return cross_entropy(); }),
    entry<float>("teacher_guidance", [](const parameters& p) { return p.weight[0] * teacher_guidance(); }),
    entry<float>("policy_gradient and entropy",
                 [](const parameters& p) { return policy_gradient() + p.weight[0] * entropy(); }),
    entry<float>("estimators",
                 [](const parameters& p) {
                     return p.weight[0] * kl_estimator<kl_estimate::k1, kl_estimate::k2>() +
                            p.weight[1] * kl_estimator<kl_estimate::k3, kl_estimate::k3>();
                 }),
    entry<float>("log_ratio_advantage",
                 [](const parameters& p) {
                     return log_ratio_advantage<importance::none>(p.floor, p.ceiling, false) +
                            p.weight[0] * log_ratio_advantage<importance::ratio>(p.floor, p.ceiling, true);
                 }),
    entry<float>("centered_log_ratio_advantage",
                 [](const parameters& p) { return p.weight[0] * centered_log_ratio_advantage(); }),
    entry<float>("power and mixture",
                 [](const parameters& p) {
                     return p.weight[0] * power_advantage<importance::ratio>(p.exponent) +
                            p.weight[1] * mixture_advantage<importance::none>(p.share[0]);
                 }),
    entry<float>("surrogates",
                 [](const parameters& p) {
                     return clipped_surrogate(p.lower, p.upper, p.dual) +
                            p.weight[0] * clipped_importance(p.lower, p.upper) +
                            p.weight[1] * sequence_surrogate(p.lower, p.upper);
                 }),
    entry<float>("sampled_guidance",
                 [](const parameters& p) { return p.weight[0] * sampled_guidance(p.seed, p.first_row); }),
    entry<float>("on_top_tokens forward_kl",
                 [](const parameters&) { return on_top_tokens(distill::forward_kl{}, kind::forward_kl); }),
    entry<float>("on_top_tokens of others",
                 [](const parameters& p) {
                     return p.weight[0] *
                                on_top_tokens(distill::jensen_shannon{p.share[0]}, kind::jensen_shannon, p.share[0]) +
                            p.weight[1] * on_top_tokens(distill::reverse_kl{}, kind::reverse_kl) + cross_entropy();
                 }),
    entry<float>("top_forward_kl",
                 [](const parameters& p) {
                     return p.weight[0] * top_forward_kl<truncation::teacher_renormalized>() +
                            p.weight[1] * top_forward_kl<truncation::teacher_truncated>() +
                            where_teacher_entropy_above(p.nats, top_forward_kl<truncation::blind_to_mass_outside>());
                 }),
    entry<float>("three temperatures, of any sign",
                 [](const parameters& p) {
                     return p.weight[0] * forward_kl() + at(p.own, p.weight[1] * squared_hellinger() + cross_entropy()) +
                            at(p.other, p.weight[2] * jensen_shannon(p.share[0]) + per_row(p.weight[3] * reverse_kl()));
                 }),
    entry<float, float, float, on_eigen, distill::token_mean>(
        "hinton",
        [](const parameters& p) {
            const double t = p.own.student;
            return both{
                distill::as_objective(distill::hinton{.soft_temperature = t, .hard = p.weight[0], .soft = p.weight[1]}),
                oracle::at_temperature({1.0, 1.0}, (p.weight[0] * cross_entropy()).text) +
                    oracle::at_temperature({t, t}, (p.weight[1] * t * t * forward_kl()).text)};
        }),
    entry<float>("tgpo, kdrl, minillm",
                 [](const parameters& p) {
                     const distill::clipped_surrogate surrogate{.lower = p.lower, .upper = p.upper};
                     const auto text = oracle::single(text_of_surrogate(p.lower, p.upper));
                     return both{
                         distill::tgpo{.coefficient = p.weight[0], .surrogate = surrogate} +
                             distill::kdrl{.coefficient = p.weight[1], .surrogate = surrogate} +
                             distill::minillm{
                                 .single_step = p.weight[2], .surrogate_weight = p.weight[3], .surrogate = surrogate},
                         text + (p.weight[0] * teacher_guidance()).text + text +
                             (p.weight[1] * kl_estimator<kl_estimate::k2, kl_estimate::k2>()).text + p.weight[3] * text +
                             (p.weight[2] * reverse_kl()).text};
                 }),
    entry<float>("opd and vopd",
                 [](const parameters& p) {
                     return both{distill::opd{.coefficient = p.weight[0]} + distill::vopd{.coefficient = p.weight[1]},
                                 (p.weight[0] * log_ratio_advantage<importance::ratio>(-20.0, 20.0, false)).text +
                                     (p.weight[1] * centered_log_ratio_advantage()).text};
                 }),
    entry<float>("distillm, abkd, smoothed",
                 [](const parameters& p) {
                     const double r = p.share[0], s = p.share[1];
                     return both{distill::distillm{.ratio = r, .skew = s} +
                                     distill::abkd{.ratio = s, .alpha = p.alpha, .beta = p.beta} +
                                     distill::smoothed_cross_entropy{.smoothing = r},
                                 ((1.0 - r) * cross_entropy()).text + (r * skew_reverse_kl(s)).text +
                                     ((1.0 - s) * cross_entropy()).text + (s * alpha_beta(p.alpha, p.beta)).text +
                                     ((1.0 - r) * cross_entropy()).text + (r * uniform_cross_entropy()).text};
                 }),
    entry<float>("gkd and a lambda",
                 [](const parameters& p) {
                     constexpr auto half_square = [](const auto& e) { return 0.5 * e.p * e.log_ratio * e.log_ratio; };
                     return both{distill::gkd{.beta = p.share[0], .softmax_temperature = p.own.student} +
                                     p.weight[0] * distill::term_from{half_square},
                                 oracle::at_temperature({p.own.student, p.own.student}, jensen_shannon(p.share[0]).text) +
                                     p.weight[0] * oracle::single({.what = kind::half_square_log})};
                 }),
    capped("capped sum",
           [](const parameters& p) {
               return p.weight[0] * jensen_shannon(p.share[0]) + teacher_guidance() + at(p.own, p.weight[1] * forward_kl());
           }),
    value_alone(
        "value of divergences",
        [](const parameters& p) { return forward_kl() + p.weight[0] * squared_hellinger() + p.weight[1] * reverse_kl(); }),
    entry<double>("double", [](const parameters& p) { return p.weight[0] * jensen_shannon(p.share[0]) + cross_entropy(); }),
    entry<double, float, float>("double, float to float",
                                [](const parameters& p) { return p.weight[0] * forward_kl() + p.weight[1] * reverse_kl(); }),
    entry<float, double, double>(
        "float, double to double",
        [](const parameters& p) { return p.weight[0] * forward_kl() + p.weight[1] * reverse_kl(); }),
    entry<float, float, float, on_reference>("reference",
                                             [](const parameters& p) {
                                                 return p.weight[0] * jensen_shannon(p.share[0]) +
                                                        p.weight[1] * alpha_beta(p.alpha, p.beta) + cross_entropy() +
                                                        at(p.own, p.weight[2] * reverse_kl() + p.weight[3] * entropy());
                                             }),
    entry<float, float, float, on_reference>("reference, each of its own",
                                             [](const parameters& p) {
                                                 return p.weight[0] * squared_hellinger() + p.weight[1] * chi_squared() +
                                                        p.weight[2] * todi() + p.weight[3] * skew_forward_kl(p.share[0]) +
                                                        forward_kl();
                                             }),
};

}  // namespace

std::span<const compiled> on_the_baseline() { return table; }

}  // namespace fuzz
