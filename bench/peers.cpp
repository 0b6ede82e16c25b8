// What else could an engineer write? Forward KL with its gradient, and the Jensen-Shannon divergence: a scalar loop, Eigen's
// array expressions, xtensor's, and LibTorch's operations with its backward pass where it is installed. Every peer's loss and
// gradient are compared with the library's before it is timed.
#include "workload.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <functional>

#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>

#if defined(DISTILL_BENCH_TORCH)
#include <torch/torch.h>
#endif

namespace bench {
namespace {

constexpr std::size_t rows = 16, vocabulary = language_model_vocabulary;
using buffers = workload<float>;

// Writes the gradient of the mean over rows and answers the loss.
using peer = std::function<double(buffers&)>;

// ---- a scalar loop, as textbooks have it ----

double scalar_loop(buffers& b) {
    double loss = 0.0;
    for (std::size_t row = 0; row < rows; ++row) {
        const float* z = b.student.data() + row * vocabulary;
        const float* w = b.teacher.data() + row * vocabulary;
        float* dz = b.gradient.data() + row * vocabulary;
        const float largest_z = *std::max_element(z, z + vocabulary), largest_w = *std::max_element(w, w + vocabulary);
        double sum_z = 0.0, sum_w = 0.0;
        for (std::size_t v = 0; v < vocabulary; ++v) {
            sum_z += std::exp(z[v] - largest_z);
            sum_w += std::exp(w[v] - largest_w);
        }
        const auto log_z = static_cast<float>(std::log(sum_z)) + largest_z;
        const auto log_w = static_cast<float>(std::log(sum_w)) + largest_w;
        for (std::size_t v = 0; v < vocabulary; ++v) {
            const float log_p = z[v] - log_z, log_q = w[v] - log_w, q = std::exp(log_q);
            loss += static_cast<double>(q * (log_q - log_p));
            dz[v] = (std::exp(log_p) - q) / static_cast<float>(rows);
        }
    }
    return loss / static_cast<double>(rows);
}

// ---- Eigen's arrays ----

using row_array = Eigen::Array<float, 1, Eigen::Dynamic>;

row_array log_softmax(const Eigen::Map<const row_array>& x) {
    const float largest = x.maxCoeff();
    return x - (largest + std::log((x - largest).exp().sum()));
}

double eigen_expressions(buffers& b) {
    constexpr auto length = static_cast<Eigen::Index>(vocabulary);
    double loss = 0.0;
    for (std::size_t row = 0; row < rows; ++row) {
        const row_array log_p = log_softmax({b.student.data() + row * vocabulary, length}),
                        log_q = log_softmax({b.teacher.data() + row * vocabulary, length});
        const row_array q = log_q.exp();
        loss += static_cast<double>((q * (log_q - log_p)).sum());
        Eigen::Map<row_array>(b.gradient.data() + row * vocabulary, length) = (log_p.exp() - q) / static_cast<float>(rows);
    }
    return loss / static_cast<double>(rows);
}

// ---- xtensor's expressions ----

xt::xtensor<float, 2> log_softmax(const xt::xtensor<float, 2>& x) {
    const xt::xtensor<float, 2> shifted = x - xt::eval(xt::amax(x, {1}, xt::keep_dims));
    const xt::xtensor<float, 2> normaliser = xt::log(xt::eval(xt::sum(xt::exp(shifted), {1}, xt::keep_dims)));
    return shifted - normaliser;
}

double xtensor_expressions(buffers& b) {
    const std::vector<std::size_t> shape{rows, vocabulary};
    const xt::xtensor<float, 2> log_p = log_softmax(xt::adapt(b.student, shape)),
                                log_q = log_softmax(xt::adapt(b.teacher, shape));
    const xt::xtensor<float, 2> q = xt::exp(log_q);
    auto gradient = xt::adapt(b.gradient, shape);
    gradient = (xt::exp(log_p) - q) / static_cast<float>(rows);
    return static_cast<double>(xt::sum(q * (log_q - log_p))()) / static_cast<double>(rows);
}

#if defined(DISTILL_BENCH_TORCH)

// ---- LibTorch, with the gradient by its backward pass ----

template <class Loss>
double with_backward(buffers& b, const Loss& loss_of) {
    const auto view = [](std::vector<float>& x) {
        return torch::from_blob(x.data(), {static_cast<long>(rows), static_cast<long>(vocabulary)}, torch::kFloat);
    };
    auto z = view(b.student).detach().requires_grad_(true);
    const auto w = view(b.teacher);
    const torch::Tensor loss = loss_of(torch::log_softmax(z, -1), torch::log_softmax(w, -1));
    loss.backward();
    view(b.gradient).copy_(z.grad());
    return loss.item<double>();
}

torch::Tensor kl(const torch::Tensor& input, const torch::Tensor& target) {
    return torch::kl_div(input, target, torch::Reduction::Sum, true) / static_cast<double>(rows);
}

double torch_forward_kl(buffers& b) {
    return with_backward(b, [](const torch::Tensor& log_p, const torch::Tensor& log_q) { return kl(log_p, log_q); });
}

// As TRL's GKDTrainer writes it: the mixture in log space.
double torch_jensen_shannon(buffers& b) {
    return with_backward(b, [](const torch::Tensor& log_p, const torch::Tensor& log_q) {
        const auto mixture = torch::logsumexp(torch::stack({log_p + std::log(0.5), log_q + std::log(0.5)}), 0);
        return 0.5 * kl(mixture, log_q) + 0.5 * kl(mixture, log_p);
    });
}

#endif

// The largest difference of a peer's answer from the library's, of the loss relative to it and of the gradient relative to its
// norm.
double difference(buffers& b, const peer& ours, const peer& theirs) {
    const double expected = ours(b);
    const std::vector<float> gradient = b.gradient;
    const double found = theirs(b);
    double error = 0.0, size = 0.0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        const auto d = static_cast<double>(gradient[i]) - static_cast<double>(b.gradient[i]);
        error += d * d;
        size += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
    }
    return std::max(std::abs(found / expected - 1.0), std::sqrt(error / size));
}

void add_peer(const std::string& name, const peer& ours, const peer& theirs) {
    benchmark::RegisterBenchmark(("peer/" + name).c_str(), [=](benchmark::State& state) {
        auto& b = buffers::shared(rows, vocabulary);
        constexpr double agreed = 1e-2;  // the textbook's cancellation in fp32 included
        const double apart = difference(b, ours, theirs);
        if (!(apart < agreed)) {
            state.SkipWithError(("its answer differs from the library's by " + std::to_string(apart)).c_str());
            return;
        }
        measure(state, subtraction(rows, vocabulary), [&] { benchmark::DoNotOptimize(theirs(b)); });
    })->UseManualTime();
}

template <class Objective>
peer library(const Objective& objective) {
    return [f = distill::loss{objective, distill::eigen{}, distill::token_mean{}}](buffers& b) {
        return f(b.batch(), b.destination()).value;
    };
}

}  // namespace

void add_peers() {
    const peer forward = library(distill::forward_kl{}), jensen = library(distill::jensen_shannon{0.5});
    add_peer("forward_kl, distill", forward, forward);
    add_peer("forward_kl, scalar loop", forward, scalar_loop);
    add_peer("forward_kl, Eigen expressions", forward, eigen_expressions);
    add_peer("forward_kl, xtensor expressions", forward, xtensor_expressions);
#if defined(DISTILL_BENCH_TORCH)
    torch::set_num_threads(1);
    add_peer("forward_kl, LibTorch", forward, torch_forward_kl);
    add_peer("jensen_shannon, LibTorch", jensen, torch_jensen_shannon);
#endif
    add_peer("jensen_shannon, distill", jensen, jensen);
}

}  // namespace bench
