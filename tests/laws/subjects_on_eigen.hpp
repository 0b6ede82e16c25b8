// The catalogue on the Eigen backend for one element type. A row program takes its path from the kinds of its terms, so one
// objective per path is compiled: forward KL, whose moment is known; entropy, which reads no teacher; the sum of all
// vocabulary terms; the sum of all token terms. Each entry of the catalogue is one of these with coefficients of its own.
#pragma once

#include "subject.hpp"

namespace distill_test {

template <class Element, class Objective>
evaluator on_eigen(const Objective& composed) {
    return [objective = distill::as_objective(composed)](const filled_rows& in, const setting& s) {
        return evaluate<Element>(s.coefficient * objective, distill::eigen{s.widest}, in, s.temperature);
    };
}

template <class Element>
std::vector<evaluator> evaluators_on_eigen() {
    std::vector<evaluator> all;
    for_each_listed(vocabulary_catalogue(), [&]<class Objective>(const listed<Objective>& entry) {
        if constexpr (std::is_same_v<Objective, distill::forward_kl> || std::is_same_v<Objective, distill::entropy>)
            all.push_back(on_eigen<Element>(entry.objective));
        else
            all.push_back(on_eigen<Element>(as_sum_of_all(entry.objective, vocabulary_catalogue())));
    });
    for_each_listed(token_catalogue(), [&](const auto& entry) {
        all.push_back(on_eigen<Element>(as_sum_of_all(entry.objective, token_catalogue())));
    });
    return all;
}

// 16-bit storage differs from float in loads and stores alone: the entries made of these stand for all vocabulary terms. The
// others have no evaluator.
inline auto representatives() {
    using namespace distill;
    return std::make_tuple(listed{"forward_kl", nature::divergence, forward_kl{}},
                           listed{"reverse_kl", nature::divergence, reverse_kl{}},
                           listed{"jensen_shannon", nature::divergence, jensen_shannon{}});
}

template <class... Terms>
constexpr bool represented(const std::tuple<distill::weighted<Terms>...>*) {
    using namespace distill;
    return (
        (std::is_same_v<Terms, forward_kl> || std::is_same_v<Terms, reverse_kl> || std::is_same_v<Terms, jensen_shannon>) &&
        ...);
}

template <class Element>
std::vector<evaluator> representatives_on_eigen() {
    std::vector<evaluator> all;
    for_each_listed(vocabulary_catalogue(), [&](const auto& entry) {
        using terms = decltype(detail::terms_of(entry.objective));
        if constexpr (represented(static_cast<const terms*>(nullptr)))
            all.push_back(on_eigen<Element>(as_sum_of_all(entry.objective, representatives())));
        else
            all.emplace_back();
    });
    for_each_listed(token_catalogue(), [&](const auto& entry) {
        all.push_back(on_eigen<Element>(as_sum_of_all(entry.objective, token_catalogue())));
    });
    return all;
}

}  // namespace distill_test
