// What does an objective cost, with its gradient and without, on each instruction set; and a user's own beside ours?
#include "workload.hpp"

namespace bench {
namespace {

// The README's own, and the same with the derivative left to the library.
struct hellinger_by_hand : distill::term<hellinger_by_hand> {
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T d = sqrt(e.p) - sqrt(e.q);
        return {.value = T(0.5) * d * d, .dlogp = T(0.5) * sqrt(e.p) * d};
    }
};
struct hellinger_value_alone : distill::term<hellinger_value_alone> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        const T d = sqrt(e.p) - sqrt(e.q);
        return T(0.5) * d * d;
    }
};

template <class Objective>
void add_value(const std::string& name, const Objective& objective) {
    add(name, [=] {
        auto& w = workload<float>::shared(many_rows, language_model_vocabulary);
        const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
        return std::pair(reading(many_rows, language_model_vocabulary), [f, &w] { benchmark::DoNotOptimize(f(w.batch())); });
    });
}

}  // namespace

void add_objectives() {
    using namespace distill;
    const auto three = forward_kl{} + reverse_kl{} + jensen_shannon{0.5};
    add_gradient("objective/forward_kl", forward_kl{});
    add_gradient("objective/reverse_kl", reverse_kl{});
    add_gradient("objective/jensen_shannon", jensen_shannon{0.5});
    add_gradient("objective/three terms", three);
    add_gradient("objective/total_variation", total_variation{});
    add_gradient("objective/squared_hellinger", squared_hellinger{});
    add_gradient("objective/skew_forward_kl", skew_forward_kl{});
    add_gradient("objective/alpha_beta", alpha_beta{});
    add_gradient("objective/user, by hand", hellinger_by_hand{});
    add_gradient("objective/user, value alone", hellinger_value_alone{});
    add_gradient("objective/tgpo, argmax", tgpo{});
    // It reads z and writes dz.
    add("objective/tgpo, teacher tokens", [] {
        auto& w = workload<float>::shared(many_rows, language_model_vocabulary);
        const loss f{tgpo{}, eigen{}, token_mean{}};
        return std::pair(copying(many_rows, language_model_vocabulary), [f, &w] {
            auto in = w.batch();
            in.teacher_tokens = w.teacher_tokens;
            benchmark::DoNotOptimize(f(in, w.destination()));
        });
    });

    add_value("value/forward_kl", forward_kl{});
    add_value("value/jensen_shannon", jensen_shannon{0.5});
    add_value("value/three terms", three);

    constexpr std::pair<const char*, instruction_set> sets[] = {
        {"avx512", instruction_set::avx512}, {"avx2", instruction_set::avx2}, {"baseline", instruction_set::baseline}};
    for (const auto& [name, set] : sets) {
        add_gradient(std::string("instruction set/forward_kl, ") + name, forward_kl{}, many_rows, language_model_vocabulary,
                     eigen{set});
        add_gradient(std::string("instruction set/jensen_shannon, ") + name, jensen_shannon{0.5}, many_rows,
                     language_model_vocabulary, eigen{set});
    }
}

}  // namespace bench
