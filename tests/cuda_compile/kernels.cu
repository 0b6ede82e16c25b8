// The kernels of the objectives whose resources are held, one of each kind; check_resources.py compiles them and never runs them.
#include <distill/backend/cuda.cuh>
#include <distill/composition/tgpo.hpp>
#include <distill/core/soft_cap.hpp>
#include <distill/divergence/adaptive_kl.hpp>
#include <distill/divergence/alpha_beta.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/divergence/reverse_kl.hpp>
#include <distill/divergence/total_variation.hpp>
#include <distill/loss.hpp>
#include <distill/objective/where.hpp>
#include <distill/reduction/sequence_mean.hpp>
#include <distill/reduction/token_mean.hpp>
#include <distill/token/cross_entropy.hpp>
#include <distill/token/on_top_tokens.hpp>

namespace {

template <class Element, class Objective, class Reduction, class Caps = distill::no_soft_cap>
void enqueue(const Objective& objective, const Reduction& reduction, const Caps& caps = {}) {
    const distill::batch<Element> in{};
    distill::loss_result* const result = nullptr;
    distill::loss{objective, distill::cuda{}, reduction, distill::temperature{}, caps}(in, distill::gradient<Element>{},
                                                                                       result);
}

}  // namespace

void every_kernel() {
    using namespace distill;
    enqueue<float>(forward_kl{}, token_mean{});
    enqueue<float>(reverse_kl{}, token_mean{});
    enqueue<float>(jensen_shannon{}, token_mean{});
    enqueue<float>(forward_kl{} + reverse_kl{} + jensen_shannon{}, token_mean{});
    enqueue<float>(alpha_beta{}, token_mean{});
    enqueue<float>(adaptive_kl{}, token_mean{});
    enqueue<float>(cross_entropy{}, sequence_mean{});
    enqueue<float>(tgpo{}, token_mean{});
    enqueue<float>(tgpo{} + 0.1 * reverse_kl{}, token_mean{});
    enqueue<float>(on_top_tokens{reverse_kl{}}, token_mean{});
    enqueue<float>(where(student_entropy_above{1.0}, reverse_kl{}), token_mean{});
    enqueue<float>(total_variation{}, token_mean{}, soft_cap{30.0});
    enqueue<__half>(forward_kl{}, token_mean{});
    enqueue<__nv_bfloat16>(jensen_shannon{}, token_mean{});
    enqueue<double>(forward_kl{}, token_mean{});
}
