// Does the cost per entry depend on the vocabulary? The number of entries is held.
#include "workload.hpp"

namespace bench {

void add_vocabularies() {
    constexpr std::size_t entries = many_rows * language_model_vocabulary;
    for (const std::size_t vocabulary : {1000, 4096, 32000, 49152, 100277, 151936, 262144}) {
        const std::string size = std::to_string(vocabulary);
        add_gradient("vocabulary/forward_kl, " + size, distill::forward_kl{}, entries / vocabulary, vocabulary);
        add_gradient("vocabulary/jensen_shannon, " + size, distill::jensen_shannon{0.5}, entries / vocabulary, vocabulary);
    }
}

}  // namespace bench
