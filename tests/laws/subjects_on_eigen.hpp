// The catalogue on the Eigen backend for one element type. A row program takes its path from the kinds of its terms, so one
// objective per path is compiled: forward KL, whose moment is known; entropy, which reads no teacher; the sum of all
// vocabulary terms; the sum of all token terms. Each entry of the catalogue is one of these with coefficients of its own.
// 16-bit storage differs in loads and stores alone, so the two sums do there.
#pragma once

#include "subject.hpp"

namespace distill_test {

template <class Element>
std::vector<evaluator> evaluators_on_eigen() {
    std::vector<evaluator> all;
    const auto add = [&](const auto& objective) {
        all.push_back([objective = distill::as_objective(objective)](const filled_rows& in, const setting& s) {
            return evaluate<Element>(s.coefficient * objective, distill::eigen{s.widest}, in, s.temperature);
        });
    };
    for_each_listed(vocabulary_catalogue(), [&]<class Objective>(const listed<Objective>& entry) {
        constexpr bool own_path =
            std::is_same_v<Objective, distill::forward_kl> || std::is_same_v<Objective, distill::entropy>;
        if constexpr (own_path && sizeof(Element) > 2)
            add(entry.objective);
        else
            add(as_sum_of_all(entry.objective, vocabulary_catalogue()));
    });
    for_each_listed(token_catalogue(), [&](const auto& entry) { add(as_sum_of_all(entry.objective, token_catalogue())); });
    return all;
}

}  // namespace distill_test
