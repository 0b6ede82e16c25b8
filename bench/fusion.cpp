// What does a sum of terms save against one call per term?
#include "workload.hpp"

namespace bench {

void add_fusion() {
    using namespace distill;
    add_gradient("fusion/one call", forward_kl{} + reverse_kl{} + jensen_shannon{0.5});
    add("fusion/three calls", [] {
        auto& w = workload<float>::shared(many_rows, language_model_vocabulary);
        const loss forward{forward_kl{}, eigen{}, token_mean{}};
        const loss reverse{reverse_kl{}, eigen{}, token_mean{}};
        const loss jensen{jensen_shannon{0.5}, eigen{}, token_mean{}};
        return std::pair(subtraction(many_rows, language_model_vocabulary), [=, &w] {
            benchmark::DoNotOptimize(forward(w.batch(), w.destination()));
            benchmark::DoNotOptimize(reverse(w.batch(), accumulate(w.destination())));
            benchmark::DoNotOptimize(jensen(w.batch(), accumulate(w.destination())));
        });
    });
}

}  // namespace bench
