// How much faster are two threads than one?
#include "workload.hpp"

#include <distill/backend/executor/openmp.hpp>

namespace bench {

void add_threads() {
    for (const int threads : {1, 2, 4, 8}) {
        const distill::eigen backend{distill::openmp{threads}};
        const std::string count = std::to_string(threads);
        const auto add_objective = [&](const std::string& name, const auto& objective) {
            add_gradient("threads/" + name + ", " + count, objective, many_rows, language_model_vocabulary, backend,
                         unit::nanoseconds_per_entry, "floor: g = z - w on one thread");
        };
        add_objective("forward_kl", distill::forward_kl{});
        add_objective("jensen_shannon", distill::jensen_shannon{0.5});
    }
}

}  // namespace bench
