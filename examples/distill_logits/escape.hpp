// The experiment TGPO rests on: how many plain gradient steps on the student's logits until a token that the teacher wants
// and the student lacks has probability 1/2.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <distill/distill.hpp>
#include <distill/interop/xtensor.hpp>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "rollout.hpp"

namespace escape {

// One position: the student's and the teacher's logits and the teacher's token y*.
struct position {
    std::size_t row;
    std::int64_t teacher_token;
    double log_p;      // log p(y*) at the start
    double teacher_p;  // q(y*)
};

// Positions where the student gives the teacher's token less than `below` and the teacher gives it more than 1/2 (else the
// divergences' own minimum lies under 1/2), the largest p first. A token that the
// student masks with -inf is left out: no step changes it. Throws where the teacher is nowhere so sure.
inline std::vector<position> positions(const rollout& r, double below) {
    std::vector<std::int64_t> wanted;
    for (std::size_t row = 0; row < r.teacher.shape(0); ++row) wanted.push_back(argmax(r.teacher, row));
    const auto log_p = log_probability_of(wanted, r.student), log_q = log_probability_of(wanted, r.teacher);
    std::vector<position> found;
    bool any_sure_teacher = false;
    for (std::size_t row = 0; row < wanted.size(); ++row) {
        const double q = std::exp(log_q[row]);
        const bool masked = r.student(row, wanted[row]) == -std::numeric_limits<float>::infinity();
        any_sure_teacher = any_sure_teacher || q > 0.5;
        if (log_p[row] < std::log(below) && q > 0.5 && !masked) found.push_back({row, wanted[row], log_p[row], q});
    }
    if (!any_sure_teacher)
        throw std::runtime_error(
            r.name +
            ": in no row does the teacher give a token more than 1/2, expected one such row at least: no "
            "gradient steps are counted; choose positions where the teacher is surer");
    std::sort(found.begin(), found.end(), [](const position& a, const position& b) { return a.log_p > b.log_p; });
    return found;
}

// Runs steps of z <- z - dL/dz on one row, in place, until p(y*) >= 1/2. `step(batch, z)` makes one step.
// Returns the number of steps, or most_steps + 1.
template <class Step>
int steps_until_half(const rollout& r, const position& at, int most_steps, const Step& step) {
    const std::size_t vocabulary = r.student.shape(1);
    std::vector<float> z(r.student.data() + at.row * vocabulary, r.student.data() + (at.row + 1) * vocabulary);
    const std::vector<std::int64_t> teacher_token{at.teacher_token};
    const distill::batch<float> in{.student = {z.data(), 1, vocabulary},
                                   .teacher = {r.teacher.data() + at.row * vocabulary, 1, vocabulary},
                                   .teacher_tokens = teacher_token};
    const distill::loss guidance{distill::teacher_guidance{}, distill::eigen{}, distill::token_sum{}};
    for (int taken = 0; taken <= most_steps; ++taken) {
        if (std::exp(-guidance(in).value) >= 0.5) return taken;
        step(in, distill::logits_view<float>(z.data(), 1, vocabulary));
    }
    return most_steps + 1;
}

// A step of an exact objective. Adding the gradient of -L to the student's own buffer is the step itself.
template <class Objective>
auto exact(const Objective& objective) {
    return [f = distill::loss{-1.0 * objective, distill::eigen{}, distill::token_sum{}}](
               const distill::batch<float>& in, distill::logits_view<float> z) { f(in, distill::accumulate(z)); };
}

// A step of reverse KL as on-policy distillation samples it: one y ~ p, advantage log q(y) - log p(y).
class sampled_reverse_kl {
public:
    explicit sampled_reverse_kl(std::uint32_t seed) : random_(seed) {}

    void operator()(const distill::batch<float>& in, distill::logits_view<float> z) {
        const auto vocabulary = static_cast<std::size_t>(z.vocabulary);
        p_.resize(vocabulary);
        // The gradient of -log p(first) is p - e_first: the student's distribution.
        const std::vector<std::int32_t> first{0};
        distill::batch<float> at = in;
        at.labels = first;
        cross_entropy_(at, {p_.data(), 1, z.vocabulary});
        p_[0] += 1.0f;

        std::vector<std::int64_t> y{0};
        double left = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
        while (y[0] + 1 < z.vocabulary && (left -= static_cast<double>(p_[static_cast<std::size_t>(y[0])])) > 0.0) ++y[0];
        at.tokens = y;
        at.labels = y;
        const double log_p = -cross_entropy_(at).value;
        at.student = in.teacher;
        const std::vector<double> advantage{-cross_entropy_(at).value - log_p};
        at.student = in.student;
        at.advantages = advantage;
        policy_gradient_(at, distill::accumulate(z));
    }

private:
    std::mt19937 random_;
    std::vector<float> p_;
    distill::loss<decltype(distill::as_objective(distill::cross_entropy{})), distill::eigen<>, distill::token_sum>
        cross_entropy_{distill::cross_entropy{}, distill::eigen{}, distill::token_sum{}};
    distill::loss<decltype(-1.0 * distill::policy_gradient{}), distill::eigen<>, distill::token_sum> policy_gradient_{
        -1.0 * distill::policy_gradient{}, distill::eigen{}, distill::token_sum{}};
};

// Steps per objective at one position.
struct outcome {
    position at;
    int guidance, forward_kl, jensen_shannon, reverse_kl, sampled_reverse_kl;
};

inline std::vector<outcome> run(const rollout& r, double below, int most_steps) {
    std::vector<outcome> outcomes;
    for (const position& at : positions(r, below)) {
        const auto steps = [&](auto step) { return steps_until_half(r, at, most_steps, step); };
        sampled_reverse_kl sampled(static_cast<std::uint32_t>(at.row));
        outcomes.push_back({at, steps(exact(distill::teacher_guidance{})), steps(exact(distill::forward_kl{})),
                            steps(exact(distill::jensen_shannon{0.5})), steps(exact(distill::reverse_kl{})),
                            steps([&](const auto& in, auto z) { sampled(in, z); })});
    }
    return outcomes;
}

}  // namespace escape
