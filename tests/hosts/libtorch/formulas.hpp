// The objectives of these tests as LibTorch's own expressions, in double, and how far a loss of the library is from them.
#pragma once

#include <distill/distill.hpp>
#include <distill/interop/torch.hpp>

// CHECK is a macro of LibTorch's logging too.
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <doctest/doctest.h>

#include <torch/csrc/autograd/autograd.h>

#include <support/tolerances.hpp>

#include <cmath>
#include <limits>
#include <string>

namespace distill_test {

inline const distill::eigen torch_backend{distill::torch_threads{}};

// A sum that takes a sweep of its own for its derivatives, and one that takes none.
inline const distill::loss mixed{0.7 * distill::reverse_kl{} + 0.3 * distill::jensen_shannon{0.5}, torch_backend,
                                 distill::token_mean{}};
inline const distill::loss forward{distill::forward_kl{}, torch_backend, distill::token_mean{}, distill::temperature{2.0}};

inline at::Tensor mixed_rows(const at::Tensor& student, const at::Tensor& teacher) {
    const at::Tensor log_p = student.to(at::kDouble).log_softmax(-1), log_q = teacher.to(at::kDouble).log_softmax(-1);
    const at::Tensor p = log_p.exp(), q = log_q.exp(), log_m = (0.5 * (p + q)).log();
    return 0.7 * (p * (log_p - log_q)).sum(-1) + 0.15 * ((q * (log_q - log_m)).sum(-1) + (p * (log_p - log_m)).sum(-1));
}

inline at::Tensor forward_rows(const at::Tensor& student, const at::Tensor& teacher) {
    const at::Tensor log_p = (student.to(at::kDouble) / 2.0).log_softmax(-1);
    const at::Tensor log_q = (teacher.to(at::kDouble) / 2.0).log_softmax(-1);
    return (log_q.exp() * (log_q - log_p)).sum(-1);
}

// The gradient of a loss of the student, which is a leaf. The graph stays, for another one.
inline at::Tensor gradient_of(const at::Tensor& loss, const at::Tensor& student) {
    return torch::autograd::grad({loss}, {student}, {}, true)[0];
}

inline at::Tensor leaf(const at::Tensor& values, at::ScalarType type) {
    return values.to(type).detach().clone().requires_grad_(true);
}

inline double length_of(const at::Tensor& t) { return t.to(at::kDouble).square().sum().sqrt().item<double>(); }
inline double distance(const at::Tensor& a, const at::Tensor& b) {
    return length_of(a.to(at::kDouble) - b.to(at::kDouble)) / length_of(b);
}

// A gradient's relative distance: the contract's, and the roundings to a 16-bit type: when it is kept, and times a factor.
inline double gradient_tolerance(at::ScalarType type) {
    return type == at::kDouble  ? tolerance::rounding
           : type == at::kFloat ? tolerance::single_gradient
           : type == at::kHalf  ? static_cast<double>(std::numeric_limits<at::Half>::epsilon())
                                : static_cast<double>(std::numeric_limits<at::BFloat16>::epsilon());
}
inline double loss_tolerance(at::ScalarType type) {
    return type == at::kDouble ? tolerance::rounding : tolerance::single_loss;
}

template <class Call>
std::string refusal(const Call& call) {
    try {
        static_cast<void>(call());
    } catch (const std::exception& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace distill_test
