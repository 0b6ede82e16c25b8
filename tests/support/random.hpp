// Random rows for tests. One seed for the whole program, printed when it starts.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace distill_test {

inline unsigned seed() {
    static const unsigned value = [] {
        const char* given = std::getenv("DISTILL_TEST_SEED");
        return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : 20260513u;
    }();
    return value;
}

// An engine for one place in the tests: the seed and a label, so that tests do not shift one another's numbers.
inline std::mt19937 engine(const std::string& label) {
    std::seed_seq sequence(label.begin(), label.end());
    std::vector<unsigned> words(4);
    sequence.generate(words.begin(), words.end());
    words.push_back(seed());
    std::seed_seq together(words.begin(), words.end());
    return std::mt19937(together);
}

// Normal logits of a given scale.
inline std::vector<double> normal(std::mt19937& random, std::size_t count, double scale) {
    std::normal_distribution<double> distribution(0.0, scale);
    std::vector<double> values(count);
    for (double& v : values) v = distribution(random);
    return values;
}

}  // namespace distill_test
