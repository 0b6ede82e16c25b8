// Ten objectives in one file, loss and gradient.
#include <distill/distill.hpp>

using namespace distill;

template <class Objective>
double of(const Objective& objective, const batch<float>& in, logits_view<float> gradient) {
    return loss{objective, eigen{}, token_mean{}}(in, gradient).value;
}

double all(const batch<float>& in, logits_view<float> gradient) {
    return of(forward_kl{}, in, gradient) + of(reverse_kl{}, in, gradient) + of(jensen_shannon{0.5}, in, gradient) +
           of(total_variation{}, in, gradient) + of(squared_hellinger{}, in, gradient) + of(entropy{}, in, gradient) +
           of(cross_entropy{}, in, gradient) + of(tgpo{}, in, gradient) + of(alpha_beta{}, in, gradient) +
           of(forward_kl{} + reverse_kl{} + jensen_shannon{0.5}, in, gradient);
}
