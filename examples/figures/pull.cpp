// The pull -dL/dz at y*, the token that the teacher wants, against p(y*), what the student gives it. Prints a table.
//
// 1000 tokens. The teacher gives y* 0.6, the student's favourite 0.05 and the others equal shares of the rest; of what the
// student does not give y*, its favourite has nine tenths.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

constexpr std::size_t vocabulary = 1000;

std::vector<double> log_probabilities(double wanted, double favourite) {
    std::vector<double> logits(vocabulary, std::log((1.0 - wanted - favourite) / static_cast<double>(vocabulary - 2)));
    logits[0] = std::log(wanted);
    logits[1] = std::log(favourite);
    return logits;
}

template <class Objective>
double pull(const Objective& objective, double p) {
    const auto z = log_probabilities(p, 0.9 * (1.0 - p)), w = log_probabilities(0.6, 0.05);
    std::vector<double> gradient(vocabulary);
    const distill::loss f{objective, distill::reference{}, distill::token_sum{}};
    f(distill::batch<double>{.student = {z.data(), 1, vocabulary}, .teacher = {w.data(), 1, vocabulary}},
      {gradient.data(), 1, vocabulary});
    return -gradient[0];
}

int main() {
    bool holds = true;
    std::printf(
        "p\tguidance\tforward_kl\ttodi\tsquared_hellinger\talpha_beta\tjensen_shannon\tskew_forward_kl\treverse_kl\t"
        "total_variation\tchi_squared\n");
    const auto columns = [](double p) {
        return std::vector<double>{pull(distill::teacher_guidance{}, p),
                                   pull(distill::forward_kl{}, p),
                                   pull(distill::todi{}, p),
                                   pull(distill::squared_hellinger{}, p),
                                   pull(distill::alpha_beta{0.2, 0.7}, p),
                                   pull(distill::jensen_shannon{0.5}, p),
                                   pull(distill::skew_forward_kl{0.1}, p),
                                   pull(distill::reverse_kl{}, p),
                                   pull(distill::total_variation{}, p),
                                   pull(distill::chi_squared{}, p)};
    };
    for (int i = 0; i <= 28; ++i) {
        const double p = std::pow(10.0, -8.0 + 0.25 * i);
        std::printf("%.3e", p);
        for (const double g : columns(p)) std::printf("\t%.6e", g);
        std::printf("\n");
    }
    // From p to p / 10 the first three keep their pull; all others lose most of it.
    const auto near = columns(1e-7), far = columns(1e-8);
    for (std::size_t i = 0; i < near.size(); ++i)
        holds = holds && (i < 3 ? far[i] > 0.999 * near[i] : far[i] < 0.35 * near[i]);
    holds = holds && std::abs(far[0] - 1.0) < 1e-6 && std::abs(far[1] - 0.6) < 1e-6 && std::abs(far[2] - 0.6) < 1e-5;
    return holds ? 0 : 1;
}
