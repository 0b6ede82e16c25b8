// One way of writing one objective, with its gradient, on the buffers that every peer has.
#pragma once

#include "../workload.hpp"

#include <memory>
#include <string>

namespace bench {

// A shape at which every buffer is larger than the caches.
inline constexpr std::size_t peer_rows = many_rows, peer_vocabulary = language_model_vocabulary;
using peer_buffers = workload<float>;

class peer {
public:
    virtual ~peer() = default;

    // Returns the mean loss over rows, and makes its gradient, anywhere.
    virtual double run(peer_buffers& b) = 0;
    // Copies the gradient of the last run into the buffer, where it is elsewhere.
    virtual void fetch_gradient(peer_buffers&) {}
    // The memory that a run holds beside the buffers, in MB.
    virtual double peak(peer_buffers& b) {
        return peak_megabytes([&] { benchmark::DoNotOptimize(run(b)); });
    }
    // Of whatever computes, for the table.
    [[nodiscard]] virtual std::string version() = 0;
};

// LibTorch's operations with its backward pass, on one thread. Objectives: forward_kl, jensen_shannon.
std::unique_ptr<peer> libtorch(const std::string& objective);

// PyTorch from Python, in a process of its own, on one thread. As glibc comes, free() returns a tensor of this size to the
// system, and the pages of the next one are made anew. `keeping` tells glibc to keep them.
enum class heap { as_it_comes, keeping };
// ways: eager, compiled. Objectives: those of bench/pytorch/formulas.py.
std::unique_ptr<peer> pytorch(const std::string& objective, const std::string& way, heap memory);
// Why there is no PyTorch here; empty where there is one.
std::string pytorch_is_missing();

}  // namespace bench
