// Objectives of the library and of a user, with their loops for every instruction set.
#include <distill/distill.hpp>

#include <Eigen/Core>

namespace {

struct by_hand : distill::term<by_hand> {
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T d = sqrt(e.p) - sqrt(e.q);
        return {.value = T(0.5) * d * d, .dlogp = T(0.5) * sqrt(e.p) * d};
    }
};

struct value_alone : distill::term<value_alone> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return log1p(e.p) * expm1(-abs(e.log_ratio)) + e.q * log(e.p + e.q);
    }
};

template <class Objective, class Element>
double run(const Objective& objective, const distill::batch<Element>& in, const distill::logits_view<Element>& gradient) {
    const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
    return f(in).value + f(in, gradient).value;
}

}  // namespace

double run_all(const distill::batch<float>& in, const distill::logits_view<float>& gradient) {
    using namespace distill;
    return run(jensen_shannon{0.5}, in, gradient) + run(alpha_beta{} + reverse_kl{}, in, gradient) +
           run(by_hand{} + 0.5 * value_alone{}, in, gradient) + run(tgpo{}, in, gradient);
}

double run_half(const distill::batch<Eigen::half>& in, const distill::logits_view<Eigen::half>& gradient) {
    return run(distill::forward_kl{}, in, gradient);
}
double run_bfloat16(const distill::batch<Eigen::bfloat16>& in, const distill::logits_view<Eigen::bfloat16>& gradient) {
    return run(distill::forward_kl{}, in, gradient);
}
