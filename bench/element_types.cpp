// What do half, bfloat16 and double storage cost per entry, against float?
#include "workload.hpp"

#include <Eigen/Core>

namespace bench {
namespace {

template <class Element>
void add_type(const std::string& name) {
    const auto add_objective = [&](const std::string& objective_name, const auto& objective) {
        add("element type/" + objective_name + ", " + name, [=] {
            auto& w = workload<Element>::shared(many_rows, language_model_vocabulary);
            const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
            yardstick y = subtraction(many_rows, language_model_vocabulary);
            y.note = "floor: g = z - w of floats";
            return std::pair(y, [f, &w] { benchmark::DoNotOptimize(f(w.batch(), w.destination())); });
        });
    };
    add_objective("forward_kl", distill::forward_kl{});
    add_objective("jensen_shannon", distill::jensen_shannon{0.5});
}

}  // namespace

void add_element_types() {
    add_type<float>("float");
    add_type<Eigen::half>("half");
    add_type<Eigen::bfloat16>("bfloat16");
    add_type<double>("double");
}

}  // namespace bench
