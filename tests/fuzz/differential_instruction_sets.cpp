// Objectives compiled for every instruction set: one for each shape of row program.
#include <fuzz/composed.hpp>

namespace fuzz {

namespace {

using distill::importance;

// The value alone: the library differentiates it.
struct jeffreys : distill::term<jeffreys> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return e.difference * e.log_ratio;
    }
};

constexpr compiled table[] = {
    entry<float>("forward_kl", [](const parameters&) { return forward_kl(); }),
    entry<float>("reverse_kl", [](const parameters& p) { return p.weight[0] * reverse_kl(); }),
    entry<float>("jensen_shannon", [](const parameters& p) { return jensen_shannon(p.share[0]); }),
    entry<float>("total_variation", [](const parameters&) { return total_variation(); }),
    entry<float>("squared_hellinger", [](const parameters&) { return squared_hellinger(); }),
    entry<float>("chi_squared", [](const parameters&) { return chi_squared(); }),
    entry<float>("alpha_beta", [](const parameters& p) { return alpha_beta(p.alpha, p.beta); }),
    entry<float>("adaptive_kl", [](const parameters& p) { return p.weight[0] * adaptive_kl(p.head); }),
    entry<float>("skews and todi",
                 [](const parameters& p) {
                     return p.weight[0] * skew_forward_kl(p.share[0]) + p.weight[1] * skew_reverse_kl(p.share[1]) +
                            p.weight[2] * todi();
                 }),
    entry<float>("three divergences",
                 [](const parameters& p) {
                     return p.weight[0] * forward_kl() + p.weight[1] * reverse_kl() +
                            p.weight[2] * jensen_shannon(p.share[0]);
                 }),
    entry<float>("two temperatures",
                 [](const parameters& p) {
                     return p.weight[0] * cross_entropy() + at(p.own, p.weight[1] * reverse_kl() + entropy());
                 }),
    entry<float>("reverse_kl and teacher_guidance",
                 [](const parameters& p) { return reverse_kl() + p.weight[0] * teacher_guidance(); }),
    entry<float>("per row and gated",
                 [](const parameters& p) {
                     return per_row(p.weight[0] * jensen_shannon(p.share[0])) +
                            where_student_entropy_above(p.nats, forward_kl());
                 }),
    entry<float>(
        "clipped_surrogate and guidance per row",
        [](const parameters& p) { return clipped_surrogate(p.lower, p.upper) + per_row(p.weight[0] * teacher_guidance()); }),
    entry<float>("value alone",
                 [](const parameters& p) {
                     return p.weight[0] * one(jeffreys{}, {.what = kind::jeffreys}) + p.weight[1] * z_loss();
                 }),
    capped("capped reverse_kl", [](const parameters& p) { return p.weight[0] * reverse_kl() + cross_entropy(); }),
};

}  // namespace

std::span<const compiled> on_every_instruction_set() { return table; }

}  // namespace fuzz
