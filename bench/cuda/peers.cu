// What else could an engineer write? A copy of the buffers, which is the yardstick; and forward KL with its gradient from two
// log-softmaxes that stand in memory, by kernels written by hand or by cuDNN's. Every peer's loss and gradient are compared with
// the library's before it is timed.
#include "by_hand.cuh"
#include "workload.cuh"
#if defined(DISTILL_BENCH_CUDNN)
#include "cudnn.cuh"
#endif

#include <cmath>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_sum.hpp>
#include <numeric>
#include <type_traits>
#include <vector>

namespace bench {
namespace {

template <class Element, class LogSoftmax>
class peer {
public:
    explicit peer(const workload<Element>& w) : w_(w), log_p_(w.entries()), log_q_(w.entries()), losses_(w.size.rows) {}

    void operator()() const {
        softmax_(w_.student.data(), log_p_.data(), w_.size);
        softmax_(w_.teacher.data(), log_q_.data(), w_.size);
        DISTILL_LAUNCH(divergence<Element>, static_cast<unsigned>(w_.size.rows), threads_of_row, 0, nullptr, log_p_.data(),
                       log_q_.data(), w_.gradient.data(), losses_.data(), w_.size.vocabulary);
        check(cudaGetLastError());
    }
    [[nodiscard]] double loss() const {
        const std::vector<float> losses = losses_.values();
        return std::accumulate(losses.begin(), losses.end(), 0.0);
    }

private:
    const workload<Element>& w_;
    device_buffer<float> log_p_, log_q_, losses_;
    LogSoftmax softmax_;
};

// Every thread's sums: of the squares of the differences, and of those of what is expected.
template <class Element>
__global__ void sum_squares(const Element* expected, const Element* found, std::size_t count, double2* sums) {
    const std::size_t thread = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
    double error = 0.0, size = 0.0;
    for (std::size_t i = thread; i < count; i += gridDim.x * std::size_t{blockDim.x}) {
        const double e = static_cast<float>(expected[i]), d = e - static_cast<double>(static_cast<float>(found[i]));
        error += d * d;
        size += e * e;
    }
    sums[thread] = make_double2(error, size);
}

// The larger of the loss's difference from the library's, relative to it, and the gradient's, relative to its norm.
template <class Element, class Peer>
double difference(const workload<Element>& w, const Peer& theirs) {
    const device_buffer<Element> gradient(w.entries());
    const distill::loss sizing{distill::forward_kl{}, distill::cuda{}, distill::token_sum{}};
    const device_buffer<unsigned char> memory(sizing.workspace_bytes(w.batch()));
    const distill::loss ours{distill::forward_kl{}, distill::cuda{nullptr, {memory.data(), memory.bytes()}},
                             distill::token_sum{}};
    ours(w.batch(), {gradient.data(), w.size.rows, w.size.vocabulary}, w.result.data());
    theirs();
    const unsigned blocks = blocks_of(w.entries());
    const device_buffer<double2> sums(blocks * std::size_t{threads_of_block});
    DISTILL_LAUNCH(sum_squares<Element>, blocks, threads_of_block, 0, nullptr, gradient.data(), w.gradient.data(),
                   w.entries(), sums.data());
    check(cudaGetLastError());
    double error = 0.0, size = 0.0;
    for (const double2& of_thread : sums.values()) error += of_thread.x, size += of_thread.y;
    return std::max(std::abs(theirs.loss() / w.result.front().value - 1.0), std::sqrt(error / size));
}

template <class Element, class LogSoftmax>
void add_peer(const std::string& type, shape s, const std::string& name) {
    add(type, s, "forward_kl, " + name, [s](benchmark::State& state) {
        const auto& w = workload<Element>::shared(s);
        const peer<Element, LogSoftmax> theirs(w);
        constexpr double agreed = 1e-2;  // the rounding of 16-bit gradients and the textbook's cancellation included
        const double apart = difference(w, theirs);
        if (!(apart < agreed)) throw std::runtime_error("its answer differs from the library's by " + std::to_string(apart));
        measure(state, w, 2, theirs);
    });
}

}  // namespace

template <class Element>
void add_peers(const std::string& type, shape s) {
    add(type, s, "cudaMemcpyAsync", [s](benchmark::State& state) {
        const auto& w = workload<Element>::shared(s);
        measure(state, w, 1, [&] { w.copy_student_to_gradient(); });
    });
    add_peer<Element, log_softmax_by_hand>(type, s, "three kernels");
#if defined(DISTILL_BENCH_CUDNN)
    // Its log-softmax has the logits' type: in 16 bits that is too coarse for a gradient.
    if constexpr (std::is_same_v<Element, float>) add_peer<Element, log_softmax_of_cudnn>(type, s, "cuDNN");
#endif
}

#define DISTILL_INSTANTIATE(Element) template void add_peers<Element>(const std::string&, shape);
DISTILL_FOR_EACH_ELEMENT(DISTILL_INSTANTIATE)

}  // namespace bench
