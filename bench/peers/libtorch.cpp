// LibTorch's operations, with the gradient by its backward pass.
#include "peer.hpp"

#include <torch/torch.h>
#include <cmath>

namespace bench {
namespace {

torch::Tensor view(std::vector<float>& x) {
    return torch::from_blob(x.data(), {static_cast<long>(peer_rows), static_cast<long>(peer_vocabulary)}, torch::kFloat);
}

torch::Tensor kl(const torch::Tensor& input, const torch::Tensor& target) {
    return torch::kl_div(input, target, torch::Reduction::Sum, true) / static_cast<double>(peer_rows);
}

torch::Tensor forward_kl(const torch::Tensor& log_p, const torch::Tensor& log_q) { return kl(log_p, log_q); }

// As TRL's GKDTrainer writes it: the mixture in log space.
torch::Tensor jensen_shannon(const torch::Tensor& log_p, const torch::Tensor& log_q) {
    const auto mixture = torch::logsumexp(torch::stack({log_p + std::log(0.5), log_q + std::log(0.5)}), 0);
    return 0.5 * kl(mixture, log_q) + 0.5 * kl(mixture, log_p);
}

class libtorch_peer : public peer {
public:
    explicit libtorch_peer(torch::Tensor (*loss)(const torch::Tensor&, const torch::Tensor&)) : loss_(loss) {
        torch::set_num_threads(1);
    }

    double run(peer_buffers& b) override {
        auto z = view(b.student).detach().requires_grad_(true);
        const torch::Tensor loss = loss_(torch::log_softmax(z, -1), torch::log_softmax(view(b.teacher), -1));
        gradient_.reset();
        loss.backward();
        gradient_ = z.grad();
        return loss.item<double>();
    }
    void fetch_gradient(peer_buffers& b) override {
        view(b.gradient).copy_(gradient_);
        gradient_.reset();
    }
    std::string version() override { return TORCH_VERSION; }

private:
    torch::Tensor (*loss_)(const torch::Tensor&, const torch::Tensor&);
    torch::Tensor gradient_;
};

}  // namespace

std::unique_ptr<peer> libtorch(const std::string& objective) {
    return std::make_unique<libtorch_peer>(objective == "forward_kl" ? forward_kl : jensen_shannon);
}

}  // namespace bench
