// A scalar loop, as textbooks have it, with sums of floats over tiles: a form that compilers can vectorise.
#include "formulas.hpp"

#include <algorithm>
#include <cmath>

namespace bench {
namespace {

constexpr std::size_t tile = 1024;

float log_sum_exp(const float* x, std::size_t length) {
    float largest = x[0];
    for (std::size_t i = 0; i < length; ++i) largest = x[i] > largest ? x[i] : largest;
    double total = 0.0;
    for (std::size_t begin = 0; begin < length; begin += tile) {
        const std::size_t end = std::min(begin + tile, length);
        float sum = 0.0f;
        for (std::size_t i = begin; i < end; ++i) sum += std::exp(x[i] - largest);
        total += static_cast<double>(sum);
    }
    return static_cast<float>(std::log(total)) + largest;
}

double forward_kl(const logits& a) {
    double loss = 0.0;
    const float scale = 1.0f / static_cast<float>(a.rows);
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float *z = a.student + row * a.vocabulary, *w = a.teacher + row * a.vocabulary;
        float* __restrict g = a.gradient + row * a.vocabulary;
        const float log_z = log_sum_exp(z, a.vocabulary), log_w = log_sum_exp(w, a.vocabulary);
        for (std::size_t begin = 0; begin < a.vocabulary; begin += tile) {
            const std::size_t end = std::min(begin + tile, a.vocabulary);
            float sum = 0.0f;
            for (std::size_t i = begin; i < end; ++i) {
                const float log_p = z[i] - log_z, log_q = w[i] - log_w, q = std::exp(log_q);
                sum += q * (log_q - log_p);
                g[i] = (std::exp(log_p) - q) * scale;
            }
            loss += static_cast<double>(sum);
        }
    }
    return loss / static_cast<double>(a.rows);
}

double jensen_shannon(const logits& a) {
    double loss = 0.0;
    const float scale = 1.0f / static_cast<float>(a.rows);
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float *z = a.student + row * a.vocabulary, *w = a.teacher + row * a.vocabulary;
        float* __restrict g = a.gradient + row * a.vocabulary;
        const float log_z = log_sum_exp(z, a.vocabulary), log_w = log_sum_exp(w, a.vocabulary);
        double slopes = 0.0;
        for (std::size_t begin = 0; begin < a.vocabulary; begin += tile) {
            const std::size_t end = std::min(begin + tile, a.vocabulary);
            float sum = 0.0f, slope_sum = 0.0f;
            for (std::size_t i = begin; i < end; ++i) {
                const float log_p = z[i] - log_z, log_q = w[i] - log_w, p = std::exp(log_p), q = std::exp(log_q);
                const float log_m = std::log(0.5f * (p + q) + 1e-37f), slope = 0.5f * p * (log_p - log_m);
                sum += slope + 0.5f * q * (log_q - log_m);
                slope_sum += slope;
                g[i] = slope;
            }
            loss += static_cast<double>(sum);
            slopes += static_cast<double>(slope_sum);
        }
        const auto total = static_cast<float>(slopes);
        for (std::size_t i = 0; i < a.vocabulary; ++i) g[i] = (g[i] - std::exp(z[i] - log_z) * total) * scale;
    }
    return loss / static_cast<double>(a.rows);
}

}  // namespace

DISTILL_BENCH_VISIBLE losses DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, forward_kl, jensen_shannon}; }

}  // namespace bench
