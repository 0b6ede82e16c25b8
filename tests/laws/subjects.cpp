// The catalogue on the reference backend, every entry compiled as a user composes it.
#include "subject.hpp"

#include <doctest/doctest.h>

namespace distill_test {

std::vector<evaluator> evaluators_on_reference() {
    std::vector<evaluator> all;
    for_each_listed(catalogue(), [&](const auto& entry) {
        all.push_back([objective = distill::as_objective(entry.objective)](const filled_rows& in, const setting& s) {
            return evaluate<double>(s.coefficient * objective, distill::reference{}, in, s.temperature);
        });
    });
    return all;
}

const std::vector<subject>& subjects() {
    static const std::vector<subject> all = [] {
        const auto on_reference = evaluators_on_reference(), on_eigen = evaluators_on_eigen_float(),
                   on_half = evaluators_on_eigen_half(), on_bfloat16 = evaluators_on_eigen_bfloat16();
        std::vector<subject> list;
        for_each_listed(catalogue(), [&](const auto& entry) {
            const std::size_t i = list.size();
            list.push_back({.name = entry.name,
                            .kind = entry.kind,
                            .accuracy = entry.accuracy,
                            .gradient = entry.gradient,
                            .needs = distill::detail::needed_fields(distill::as_objective(entry.objective)),
                            .on_reference = on_reference.at(i),
                            .on_eigen = on_eigen.at(i),
                            .on_eigen_half = on_half.at(i),
                            .on_eigen_bfloat16 = on_bfloat16.at(i)});
        });
        return list;
    }();
    return all;
}

const subject& named(std::string_view name) {
    for (const subject& s : subjects())
        if (s.name == name) return s;
    FAIL("the catalogue has no entry of this name");
    return subjects().front();
}

}  // namespace distill_test
