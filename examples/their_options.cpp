// What other systems compute, by their formulas in plain loops, beside the types here that compute it.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

using numbers = std::vector<double>;
const numbers student_logits{1, 2, 3, 4, -1}, teacher_logits{1, 3, 3, 2, 0}, uniform(5, 0.2);
const std::vector<std::int32_t> label{1};

numbers softmax(const numbers& logits) {
    numbers probabilities;
    double sum = 0.0;
    for (const double x : logits) sum += std::exp(x);
    for (const double x : logits) probabilities.push_back(std::exp(x) / sum);
    return probabilities;
}

// sum_v a_v log(b_v)
double mean_log(const numbers& a, const numbers& b) {
    double sum = 0.0;
    for (std::size_t v = 0; v < a.size(); ++v) sum += a[v] * std::log(b[v]);
    return sum;
}
double kl(const numbers& a, const numbers& b) { return mean_log(a, a) - mean_log(a, b); }

numbers mix(double of_a, const numbers& a, const numbers& b) {
    numbers mixture;
    for (std::size_t v = 0; v < a.size(); ++v) mixture.push_back(of_a * a[v] + (1.0 - of_a) * b[v]);
    return mixture;
}

template <class Objective>
void line(const char* name, double theirs, const Objective& objective) {
    const distill::loss f{objective, distill::reference{}, distill::token_sum{}};
    const distill::batch<double> in{
        .student = {student_logits.data(), 1, 5}, .teacher = {teacher_logits.data(), 1, 5}, .labels = label};
    std::printf("%-36s %.6f  %.6f\n", name, theirs, f(in).value);
}

int main() {
    const numbers p = softmax(student_logits), q = softmax(teacher_logits), m = mix(0.1, q, p);
    const double teacher_entropy = -mean_log(q, q);
    std::printf("%-36s %8s  %8s\n", "", "theirs", "ours");
    line("TRL, beta 0.1", 0.1 * kl(q, m) + 0.9 * kl(p, m), distill::jensen_shannon{0.1});
    line("TRL, beta 0", kl(q, p), distill::forward_kl{});
    line("TRL, beta 1", kl(p, q), distill::reverse_kl{});
    line("DistiLLM js_distance, lam 0.9", 0.9 * kl(p, m) + 0.1 * kl(q, m), distill::jensen_shannon{0.1});
    line("DistiLLM skewed_reverse_kl, lam 0.1", kl(p, mix(0.9, q, p)), distill::skew_reverse_kl{0.1});
    line("DistiLLM forward_kl", -mean_log(q, p), distill::forward_kl{});
    line("  less the teacher's entropy", -mean_log(q, p) - teacher_entropy, distill::forward_kl{});
    line("DistiLLM skewed_forward_kl, lam 0.1", -mean_log(q, m), distill::skew_forward_kl{0.1});
    line("  less the teacher's entropy", -mean_log(q, m) - teacher_entropy, distill::skew_forward_kl{0.1});
    line("PyTorch, label_smoothing 0.1", -0.9 * std::log(p[1]) - 0.1 * mean_log(uniform, p),
         distill::smoothed_cross_entropy{0.1});
    const double log_normalizer = student_logits[0] - std::log(p[0]);
    line("OLMo-core, z_loss_multiplier 1e-4", 1e-4 * log_normalizer * log_normalizer, 1e-4 * distill::z_loss{});
}
