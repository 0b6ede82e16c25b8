// Eigen's array expressions, a row at a time.
#include "formulas.hpp"

#include <Eigen/Core>

#include <cmath>

namespace bench {
namespace {

using row_array = Eigen::Array<float, 1, Eigen::Dynamic>;
using row_view = Eigen::Map<const row_array>;

float log_sum_exp(const row_view& x) {
    const float largest = x.maxCoeff();
    return largest + std::log((x - largest).exp().sum());
}

double forward_kl(const logits& a) {
    const auto length = static_cast<Eigen::Index>(a.vocabulary);
    const float scale = 1.0f / static_cast<float>(a.rows);
    double loss = 0.0;
    row_array q(length);
    for (std::size_t row = 0; row < a.rows; ++row) {
        const row_view z(a.student + row * a.vocabulary, length), w(a.teacher + row * a.vocabulary, length);
        const float log_z = log_sum_exp(z), log_w = log_sum_exp(w);
        q = (w - log_w).exp();
        loss += static_cast<double>((q * ((w - z) + (log_z - log_w))).sum());
        Eigen::Map<row_array>(a.gradient + row * a.vocabulary, length) = ((z - log_z).exp() - q) * scale;
    }
    return loss / static_cast<double>(a.rows);
}

double jensen_shannon(const logits& a) {
    const auto length = static_cast<Eigen::Index>(a.vocabulary);
    const float scale = 1.0f / static_cast<float>(a.rows);
    double loss = 0.0;
    row_array p(length), q(length), log_m(length);
    for (std::size_t row = 0; row < a.rows; ++row) {
        const row_view z(a.student + row * a.vocabulary, length), w(a.teacher + row * a.vocabulary, length);
        const float log_z = log_sum_exp(z), log_w = log_sum_exp(w);
        p = (z - log_z).exp();
        q = (w - log_w).exp();
        log_m = (0.5f * (p + q) + 1e-37f).log();
        Eigen::Map<row_array> g(a.gradient + row * a.vocabulary, length);
        g = 0.5f * p * (z - log_z - log_m);
        const float total = g.sum();
        loss += static_cast<double>(total + (0.5f * q * (w - log_w - log_m)).sum());
        g = (g - p * total) * scale;
    }
    return loss / static_cast<double>(a.rows);
}

}  // namespace

DISTILL_BENCH_VISIBLE losses DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, forward_kl, jensen_shannon}; }

}  // namespace bench
