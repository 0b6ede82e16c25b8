// How much faster are two threads than one? The floor runs on one.
#include "workload.hpp"

#include <distill/backend/executor/openmp.hpp>

namespace bench {

void add_threads() {
    for (const int threads : {1, 2, 4, 8}) {
        const distill::eigen backend{distill::openmp{threads}};
        const std::string count = std::to_string(threads);
        add_gradient("threads/forward_kl, " + count, distill::forward_kl{}, many_rows, language_model_vocabulary, backend);
        add_gradient("threads/jensen_shannon, " + count, distill::jensen_shannon{0.5}, many_rows, language_model_vocabulary,
                     backend);
    }
}

}  // namespace bench
