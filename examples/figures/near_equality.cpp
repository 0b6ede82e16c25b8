// The error of KL(q || p) in float as student and teacher come together: the textbook's summand q (log q - log p), and the
// library's. Prints a table. 151 936 tokens; the truth is the reference backend in double on the same logits.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <distill/distill.hpp>
#include <random>
#include <vector>

constexpr std::size_t vocabulary = 151936;

// A sum in Sum, in 64 partial sums as a vectorised loop has them.
template <class Sum, class Summand>
Sum lanes_sum(const Summand& summand) {
    Sum lanes[64] = {};
    for (std::size_t v = 0; v < vocabulary; ++v) lanes[v % 64] += static_cast<Sum>(summand(v));
    Sum total{};
    for (const Sum lane : lanes) total += lane;
    return total;
}

// Log-probabilities in float.
template <class Sum>
std::vector<float> log_softmax(const std::vector<float>& logits) {
    float largest = logits[0];
    for (const float x : logits) largest = std::fmax(largest, x);
    const auto log_sum =
        static_cast<float>(std::log(lanes_sum<Sum>([&](std::size_t v) { return std::exp(logits[v] - largest); })));
    std::vector<float> result;
    for (const float x : logits) result.push_back(x - largest - log_sum);
    return result;
}

template <class Sum>
double textbook(const std::vector<float>& z, const std::vector<float>& w) {
    const auto log_p = log_softmax<Sum>(z), log_q = log_softmax<Sum>(w);
    return static_cast<double>(lanes_sum<Sum>([&](std::size_t v) { return std::exp(log_q[v]) * (log_q[v] - log_p[v]); }));
}

template <class Element, class Backend>
double library(const Backend& backend, const std::vector<float>& z, const std::vector<float>& w) {
    const std::vector<Element> student(z.begin(), z.end()), teacher(w.begin(), w.end());
    const distill::loss f{distill::forward_kl{}, backend, distill::token_sum{}};
    return f(distill::batch<Element>{.student = {student.data(), 1, vocabulary}, .teacher = {teacher.data(), 1, vocabulary}})
        .value;
}

int main() {
    std::mt19937 random(1);
    const auto noise = [&] {  // near to a normal number, of deviation 1
        double sum = 0.0;
        for (int i = 0; i < 12; ++i) sum += static_cast<double>(random()) * 0x1p-32;
        return sum - 6.0;
    };
    std::vector<float> w(vocabulary), direction(vocabulary), z(vocabulary);
    for (std::size_t v = 0; v < vocabulary; ++v) {
        w[v] = static_cast<float>(3.0 * noise());
        direction[v] = static_cast<float>(noise());
    }
    bool holds = true;
    std::printf("kl\ttextbook\ttextbook_double_sums\tlibrary\n");
    for (int i = 0; i <= 18; ++i) {
        for (std::size_t v = 0; v < vocabulary; ++v)
            z[v] = w[v] + static_cast<float>(std::pow(10.0, -0.25 * i)) * direction[v];
        const double kl = library<double>(distill::reference{}, z, w), ours = library<float>(distill::eigen{}, z, w);
        std::printf("%.9e\t%.9e\t%.9e\t%.9e\n", kl, textbook<float>(z, w), textbook<double>(z, w), ours);
        const double error = std::abs(ours / kl - 1.0);
        holds = holds && ours >= 0.0 && (kl < 5e-7 || error <= 3e-3) && (kl < 1e-3 || error <= 1e-5);
    }
    return holds ? 0 : 1;
}
