// An afternoon's loops on xsimd's batches: a maximum, a sum, and the sweep that writes.
#include "formulas.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <xsimd/xsimd.hpp>

namespace bench {
namespace {

using batch = xsimd::batch<float>;
constexpr std::size_t width = batch::size, tile = 1024;

batch load(const float* x) { return batch::load_unaligned(x); }

float largest_of(const float* x, std::size_t length) {
    batch one(-std::numeric_limits<float>::infinity()), other = one;
    std::size_t i = 0;
    for (; i + 2 * width <= length; i += 2 * width) {
        one = xsimd::max(one, load(x + i));
        other = xsimd::max(other, load(x + i + width));
    }
    float lanes[width];
    xsimd::max(one, other).store_unaligned(lanes);
    float largest = *std::max_element(lanes, lanes + width);
    for (; i < length; ++i) largest = std::max(largest, x[i]);
    return largest;
}

float log_sum_exp(const float* x, std::size_t length) {
    const float largest = largest_of(x, length);
    double total = 0.0;
    for (std::size_t begin = 0; begin < length; begin += tile) {
        const std::size_t end = std::min(begin + tile, length);
        std::size_t i = begin;
        batch sum(0.0f);
        for (; i + width <= end; i += width) sum += xsimd::exp(load(x + i) - batch(largest));
        total += static_cast<double>(xsimd::hadd(sum));
        for (; i < end; ++i) total += static_cast<double>(std::exp(x[i] - largest));
    }
    return static_cast<float>(std::log(total)) + largest;
}

double forward_kl(const logits& a) {
    double loss = 0.0;
    const float scale = 1.0f / static_cast<float>(a.rows);
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float *z = a.student + row * a.vocabulary, *w = a.teacher + row * a.vocabulary;
        float* g = a.gradient + row * a.vocabulary;
        const float log_z = log_sum_exp(z, a.vocabulary), log_w = log_sum_exp(w, a.vocabulary);
        for (std::size_t begin = 0; begin < a.vocabulary; begin += tile) {
            const std::size_t end = std::min(begin + tile, a.vocabulary);
            std::size_t i = begin;
            batch sum(0.0f);
            for (; i + width <= end; i += width) {
                const batch log_p = load(z + i) - batch(log_z), log_q = load(w + i) - batch(log_w), q = xsimd::exp(log_q);
                sum += q * (log_q - log_p);
                ((xsimd::exp(log_p) - q) * batch(scale)).store_unaligned(g + i);
            }
            loss += static_cast<double>(xsimd::hadd(sum));
            for (; i < end; ++i) {
                const float log_p = z[i] - log_z, log_q = w[i] - log_w, q = std::exp(log_q);
                loss += static_cast<double>(q * (log_q - log_p));
                g[i] = (std::exp(log_p) - q) * scale;
            }
        }
    }
    return loss / static_cast<double>(a.rows);
}

double jensen_shannon(const logits& a) {
    double loss = 0.0;
    const float scale = 1.0f / static_cast<float>(a.rows);
    const batch half(0.5f), least(1e-37f);
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float *z = a.student + row * a.vocabulary, *w = a.teacher + row * a.vocabulary;
        float* g = a.gradient + row * a.vocabulary;
        const float log_z = log_sum_exp(z, a.vocabulary), log_w = log_sum_exp(w, a.vocabulary);
        double slopes = 0.0;
        for (std::size_t begin = 0; begin < a.vocabulary; begin += tile) {
            const std::size_t end = std::min(begin + tile, a.vocabulary);
            std::size_t i = begin;
            batch sum(0.0f), slope_sum(0.0f);
            for (; i + width <= end; i += width) {
                const batch log_p = load(z + i) - batch(log_z), log_q = load(w + i) - batch(log_w);
                const batch p = xsimd::exp(log_p), q = xsimd::exp(log_q), log_m = xsimd::log(xsimd::fma(half, p + q, least));
                const batch slope = half * p * (log_p - log_m);
                sum += slope + half * q * (log_q - log_m);
                slope_sum += slope;
                slope.store_unaligned(g + i);
            }
            loss += static_cast<double>(xsimd::hadd(sum));
            slopes += static_cast<double>(xsimd::hadd(slope_sum));
            for (; i < end; ++i) {
                const float log_p = z[i] - log_z, log_q = w[i] - log_w, p = std::exp(log_p), q = std::exp(log_q);
                const float log_m = std::log(0.5f * (p + q) + 1e-37f), slope = 0.5f * p * (log_p - log_m);
                loss += static_cast<double>(slope + 0.5f * q * (log_q - log_m));
                slopes += static_cast<double>(slope);
                g[i] = slope;
            }
        }
        const auto total = static_cast<float>(slopes);
        std::size_t i = 0;
        for (; i + width <= a.vocabulary; i += width)
            ((load(g + i) - xsimd::exp(load(z + i) - batch(log_z)) * batch(total)) * batch(scale)).store_unaligned(g + i);
        for (; i < a.vocabulary; ++i) g[i] = (g[i] - std::exp(z[i] - log_z) * total) * scale;
    }
    return loss / static_cast<double>(a.rows);
}

}  // namespace

DISTILL_BENCH_VISIBLE losses DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, forward_kl, jensen_shannon}; }

}  // namespace bench
