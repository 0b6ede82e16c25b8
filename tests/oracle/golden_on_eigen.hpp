// Golden cases on the SIMD backend. A row program takes its path from the kinds of its terms, so one objective per path is
// compiled, and terms of coefficient 0 make it serve every case of that path.
#pragma once

#include "golden_case.hpp"

#include <support/catalogue.hpp>

#include <tuple>
#include <type_traits>

namespace distill_test {

// The terms of one program each.
inline auto golden_vocabulary_terms() {
    using namespace distill;
    const auto term = [](const auto& t) { return listed{"", nature::divergence, t}; };
    return std::make_tuple(term(forward_kl{}), term(reverse_kl{}), term(jensen_shannon{}), term(skew_forward_kl{}),
                           term(skew_reverse_kl{}), term(chi_squared{}), term(alpha_beta{}), term(total_variation{}),
                           term(squared_hellinger{}));
}
inline auto golden_token_terms() {
    using namespace distill;
    const auto term = [](const auto& t) { return listed{"", nature::token, t}; };
    return std::make_tuple(term(cross_entropy{}), term(teacher_guidance{}), term(policy_gradient{}),
                           term(clipped_surrogate{}));
}

template <class Element>
golden_answer on_eigen(const golden_case& c) {
    using namespace distill;
    const chosen_reduction reduction{c.reduction, c.denominator};
    return with_objective(c, [&]<class Objective>(const Objective& o) {
        using plan = kernel::plan<std::remove_cvref_t<decltype(as_objective(o))>>;
        // Forward KL, whose moment is known; entropy, which reads no teacher; two temperatures.
        if constexpr (std::is_same_v<Objective, forward_kl> || std::is_same_v<Objective, entropy> || plan::groups > 1)
            return call<Element>(c, o, eigen{}, reduction);
        else if constexpr (plan::has_vocabulary_terms)
            return call<Element>(c, as_sum_of_all(o, golden_vocabulary_terms()), eigen{}, reduction);
        else
            return call<Element>(c, as_sum_of_all(o, golden_token_terms()), eigen{}, reduction);
    });
}

}  // namespace distill_test
