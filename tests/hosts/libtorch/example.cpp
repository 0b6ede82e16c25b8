// A step of training: a distillation loss beside a cross-entropy, as a node of LibTorch's autograd.
#include <distill/distill.hpp>
#include <distill/interop/torch.hpp>

#include <torch/torch.h>

#include <cstdio>

int main() {
    torch::manual_seed(0);
    const torch::Tensor student = torch::linspace(-2, 2, 2 * 3 * 5).view({2, 3, 5}).requires_grad_(true);
    const torch::Tensor teacher = torch::linspace(-2, 2, 2 * 3 * 5).view({2, 3, 5}).sin() * 2;
    const torch::Tensor mask = torch::tensor({1, 1, 0, 1, 0, 0}).view({2, 3});
    const torch::Tensor labels = torch::tensor({4, 1, 0, 2, 3, 0});

    const distill::loss f{0.7 * distill::reverse_kl{} + 0.3 * distill::jensen_shannon{0.5},
                          distill::eigen{distill::torch_threads{}}, distill::token_mean{}};
    const torch::Tensor l = distill::torch_loss(f, student, teacher, {.weights = mask});
    const torch::Tensor ce = torch::nn::functional::cross_entropy(student.flatten(0, 1), labels);
    (0.5 * l + ce).backward();
    std::printf("loss %.6f, largest gradient %.6f\n", l.item<double>(), student.grad().abs().max().item<double>());

    // One loss per row, for weights of one's own.
    const torch::Tensor losses = distill::torch_per_token(f, student, teacher, {.weights = mask});
    (losses * mask).sum().backward();

    // Without autograd: the loss, its counts, and its gradient as a tensor.
    const auto [result, gradient] = distill::torch_value_and_gradient(f, student, teacher, {.weights = mask});
    std::printf("loss %.6f over %td rows, largest gradient %.6f\n", result.value, result.active_rows,
                gradient.abs().max().item<double>());
}
