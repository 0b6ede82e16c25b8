// xtensor's expressions, over all rows at once.
#include "formulas.hpp"

#include <array>

// Its assignments and functions on xsimd's batches.
#define XTENSOR_USE_XSIMD
#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xtensor.hpp>

namespace bench {
namespace {

using matrix = xt::xtensor<float, 2>;

template <class Rows>
matrix log_softmax(const Rows& x) {
    const matrix shifted = x - xt::eval(xt::amax(x, {1}, xt::keep_dims));
    const matrix normalizer = xt::log(xt::eval(xt::sum(xt::exp(shifted), {1}, xt::keep_dims)));
    return shifted - normalizer;
}

double forward_kl(const logits& a) {
    const std::array<std::size_t, 2> shape{a.rows, a.vocabulary};
    const std::size_t size = a.rows * a.vocabulary;
    const matrix log_p = log_softmax(xt::adapt(a.student, size, xt::no_ownership(), shape)),
                 log_q = log_softmax(xt::adapt(a.teacher, size, xt::no_ownership(), shape));
    const matrix q = xt::exp(log_q);
    auto gradient = xt::adapt(a.gradient, size, xt::no_ownership(), shape);
    xt::noalias(gradient) = (xt::exp(log_p) - q) * (1.0f / static_cast<float>(a.rows));
    return static_cast<double>(xt::sum(q * (log_q - log_p))()) / static_cast<double>(a.rows);
}

}  // namespace

DISTILL_BENCH_VISIBLE losses DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, forward_kl, nullptr}; }

}  // namespace bench
