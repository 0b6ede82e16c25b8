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
                           term(squared_hellinger{}), term(adaptive_kl{}), term(cross_entropy{}), term(clipped_surrogate{}),
                           term(z_loss{}));
}
inline auto golden_terms_without_teacher() {
    using namespace distill;
    const auto term = [](const auto& t) { return listed{"", nature::functional, t}; };
    return std::make_tuple(term(entropy{}), term(uniform_cross_entropy{}), term(cross_entropy{}));
}
inline auto golden_token_terms() {
    using namespace distill;
    const auto term = [](const auto& t) { return listed{"", nature::token, t}; };
    using enum kl_estimate;
    return std::make_tuple(term(cross_entropy{}), term(teacher_guidance{}), term(policy_gradient{}),
                           term(clipped_surrogate{}), term(clipped_importance{}), term(sequence_surrogate{}),
                           term(log_ratio_advantage<>{}), term(log_ratio_advantage<importance::ratio>{}),
                           term(centered_log_ratio_advantage{}), term(power_advantage<>{}),
                           term(power_advantage<importance::ratio>{}), term(mixture_advantage<>{}),
                           term(mixture_advantage<importance::ratio>{}), term(kl_estimator<k1, k2>{}),
                           term(kl_estimator<k2, k2>{}), term(kl_estimator<k3, k2>{}), term(kl_estimator<k1, k3>{}),
                           term(kl_estimator<k2, k3>{}), term(kl_estimator<k3, k3>{}), term(z_loss{}));
}

template <class Element>
golden_answer on_eigen(const golden_case& c) {
    using namespace distill;
    const chosen_reduction reduction{c.reduction, c.denominator};
    return with_objective(c, [&]<class Objective>(const Objective& o) {
        using traits = row::objective_traits<std::remove_cvref_t<decltype(as_objective(o))>>;
        // Forward KL, whose moment is known; temperatures of their own.
        if constexpr (std::is_same_v<Objective, forward_kl> || !traits::inherits_temperature()[0])
            return call<Element>(c, o, eigen{}, reduction);
        else if constexpr (traits::has_vocabulary_terms && !traits::reads_teacher)
            return call<Element>(c, as_sum_of_all(o, golden_terms_without_teacher()), eigen{}, reduction);
        else if constexpr (traits::has_vocabulary_terms)
            return call<Element>(c, as_sum_of_all(o, golden_vocabulary_terms()), eigen{}, reduction);
        else
            return call<Element>(c, as_sum_of_all(o, golden_token_terms()), eigen{}, reduction);
    });
}

}  // namespace distill_test
