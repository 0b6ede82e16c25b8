// The catalogue: every objective that the laws hold for. A line here is all it takes to test a new one.
#pragma once

#include <distill/distill.hpp>

#include <string>
#include <tuple>
#include <type_traits>

namespace distill_test {

// A divergence is 0 at p = q and never negative; another sum over the vocabulary is neither; a token term looks at one
// token; a normaliser's term knows z itself, not its softmax alone.
enum class nature { divergence, functional, token, normalizer };

// What fp32 keeps of it near p = q: the digits of loss and gradient (differences are formed without cancelling); those of
// the loss, where the gradient jumps at p = q; or only the size of both. What is drawn at random may be the neighbouring token
// where a vocabulary is so wide that a probability is of the size of fp32's rounding of 1.
enum class near_equality { keeps_digits, jumps, cancels, draws };

// The gradient is that of the value, or that of a value whose weights are held constant.
enum class slope { of_the_value, detached };

template <class Objective>
struct listed {
    const char* name;
    nature kind;
    Objective objective;
    near_equality accuracy = near_equality::keeps_digits;
    slope gradient = slope::of_the_value;
};
template <class Objective>
listed(const char*, nature, Objective) -> listed<Objective>;
template <class Objective>
listed(const char*, nature, Objective, near_equality) -> listed<Objective>;
template <class Objective>
listed(const char*, nature, Objective, near_equality, slope) -> listed<Objective>;

// A divergence as a user writes it from the textbook, with its derivative by hand.
struct user_squared_hellinger : distill::term<user_squared_hellinger> {
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T d = sqrt(e.p) - sqrt(e.q);
        return {.value = T(0.5) * d * d, .dlogp = T(0.5) * sqrt(e.p) * d};
    }
};

// The value alone, KL(p || q) + KL(q || p) = sum_v (p - q) (log p - log q): the library differentiates it.
struct user_jeffreys : distill::term<user_jeffreys> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return e.difference * e.log_ratio;
    }
};

// A token term of a user's own, value alone: the probability that the sampled token misses, weighted.
struct user_miss : distill::token_term<user_miss> {
    static constexpr distill::token_source token = distill::token_source::sampled;
    static constexpr distill::fields needs = distill::fields::advantages;

    template <class T>
    constexpr T operator()(const distill::token_entry<T>& e) const {
        return e.advantage * (T(1.0) - e.p);
    }
};

// A value alone without a type of its own, p (log p - log q)^2 / 2. nvcc loses lambdas in a function whose type is deduced.
inline constexpr auto user_lambda = [](const auto& e) { return 0.5 * e.p * e.log_ratio * e.log_ratio; };

inline auto vocabulary_catalogue() {
    using namespace distill;
    return std::make_tuple(
        listed{"forward_kl", nature::divergence, forward_kl{}},                                                  //
        listed{"reverse_kl", nature::divergence, reverse_kl{}},                                                  //
        listed{"jensen_shannon 0.1", nature::divergence, jensen_shannon{0.1}},                                   //
        listed{"jensen_shannon 0.5", nature::divergence, jensen_shannon{0.5}},                                   //
        listed{"jensen_shannon 0.9", nature::divergence, jensen_shannon{0.9}},                                   //
        listed{"total_variation", nature::divergence, total_variation{}, near_equality::jumps},                  //
        listed{"squared_hellinger", nature::divergence, squared_hellinger{}},                                    //
        listed{"skew_forward_kl", nature::divergence, skew_forward_kl{}},                                        //
        listed{"skew_forward_kl 0.6", nature::divergence, skew_forward_kl{0.6}},                                 //
        listed{"skew_reverse_kl", nature::divergence, skew_reverse_kl{}},                                        //
        listed{"skew_reverse_kl 0.6", nature::divergence, skew_reverse_kl{0.6}},                                 //
        listed{"chi_squared", nature::divergence, chi_squared{}},                                                //
        listed{"alpha_beta", nature::divergence, alpha_beta{}},                                                  //
        listed{"alpha_beta 1 0", nature::divergence, alpha_beta{1.0, 0.0}},                                      //
        listed{"alpha_beta 0 1", nature::divergence, alpha_beta{0.0, 1.0}},                                      //
        listed{"todi", nature::divergence, todi{}, near_equality::keeps_digits, slope::detached},                //
        listed{"adaptive_kl", nature::divergence, adaptive_kl{}, near_equality::keeps_digits, slope::detached},  //
        listed{"adaptive_kl 0.9", nature::divergence, adaptive_kl{0.9}, near_equality::keeps_digits, slope::detached},
        listed{"entropy", nature::functional, entropy{}},                                                         //
        listed{"uniform_cross_entropy", nature::functional, uniform_cross_entropy{}},                             //
        listed{"user: squared_hellinger", nature::divergence, user_squared_hellinger{}, near_equality::cancels},  //
        listed{"user: value alone", nature::divergence, user_jeffreys{}},                                         //
        listed{"user: lambda", nature::divergence, term_from{user_lambda}},                                       //
        listed{"sum of three", nature::divergence, 0.5 * forward_kl{} + 0.3 * reverse_kl{} + 2.0 * jensen_shannon{0.25}});
}

inline auto token_catalogue() {
    using namespace distill;
    return std::make_tuple(
        listed{"cross_entropy", nature::token, cross_entropy{}},                                                  //
        listed{"teacher_guidance", nature::token, teacher_guidance{}},                                            //
        listed{"policy_gradient", nature::token, policy_gradient{}},                                              //
        listed{"clipped_surrogate", nature::token, clipped_surrogate{}},                                          //
        listed{"clipped_surrogate, clip-higher", nature::token, clipped_surrogate{.lower = 0.8, .upper = 1.28}},  //
        listed{"clipped_surrogate, dual clip", nature::token,
               clipped_surrogate{.lower = 0.8, .upper = 1.2, .dual_clip = 3.0}},
        listed{"kl_estimator k1 k2", nature::token, kl_estimator<>{}, near_equality::cancels, slope::detached},
        listed{"kl_estimator k2 k2", nature::token, kl_estimator<kl_estimate::k2, kl_estimate::k2>{},
               near_equality::cancels},
        listed{"kl_estimator k3 k3", nature::token, kl_estimator<kl_estimate::k3, kl_estimate::k3>{},
               near_equality::cancels},
        listed{"log_ratio_advantage", nature::token, log_ratio_advantage<>{}, near_equality::cancels, slope::detached},
        listed{"log_ratio_advantage, bounded", nature::token, log_ratio_advantage<>{-0.5, 0.7}, near_equality::cancels,
               slope::detached},
        listed{"log_ratio_advantage, dropped", nature::token, log_ratio_advantage<>{-0.5, 0.7, true}, near_equality::cancels,
               slope::detached},
        listed{"opd", nature::token, opd{}}, listed{"vopd", nature::token, vopd{}, near_equality::cancels, slope::detached},
        listed{"power_advantage", nature::token, power_advantage<>{}, near_equality::cancels, slope::detached},
        listed{"power_advantage, ratio", nature::token, power_advantage<importance::ratio>{0.5}},
        listed{"mixture_advantage", nature::token, mixture_advantage<>{}, near_equality::cancels, slope::detached},
        listed{"mixture_advantage, ratio", nature::token, mixture_advantage<importance::ratio>{0.2}},
        listed{"clipped_importance", nature::token, clipped_importance{0.5, 1.25}, near_equality::keeps_digits,
               slope::detached},
        listed{"sequence_surrogate", nature::token, sequence_surrogate{0.8, 1.25}, near_equality::keeps_digits,
               slope::detached},
        listed{"sampled_guidance", nature::token, sampled_guidance{7}, near_equality::draws},
        listed{"z_loss", nature::normalizer, z_loss{}}, listed{"user: token, value alone", nature::token, user_miss{}},  //
        listed{"kdrl", nature::token, kdrl{.coefficient = 0.5, .surrogate = {}}, near_equality::cancels},                //
        listed{"tgpo", nature::token, tgpo{.coefficient = 0.5, .surrogate = {}}});
}

inline auto catalogue() { return std::tuple_cat(vocabulary_catalogue(), token_catalogue()); }

// visit(listed) for every entry of a catalogue.
template <class Catalogue, class Visitor>
void for_each_listed(const Catalogue& entries, const Visitor& visit) {
    std::apply([&](const auto&... entry) { (visit(entry), ...); }, entries);
}

namespace detail {

template <class... Terms, class Term>
constexpr auto with_type(const std::tuple<distill::weighted<Terms>...>& terms, const distill::weighted<Term>& term) {
    if constexpr ((std::is_same_v<Terms, Term> || ...))
        return terms;
    else
        return std::tuple_cat(terms, std::make_tuple(distill::weighted<Term>{0.0, term.value}));
}

template <class Terms>
constexpr auto with_types(const Terms& terms) {
    return terms;
}
template <class Terms, class First, class... Rest>
constexpr auto with_types(const Terms& terms, const First& first, const Rest&... rest) {
    return with_types(with_type(terms, first), rest...);
}

template <class Objective>
constexpr auto terms_of(const Objective& o) {
    return distill::detail::inherited_terms(distill::as_objective(o));
}

}  // namespace detail

// An objective of a catalogue, written as a sum over every type of term in that catalogue with coefficient 0 where it has
// none: one type, so one compiled row program, serves all of them.
template <class Objective, class Catalogue>
auto as_sum_of_all(const Objective& o, const Catalogue& entries) {
    auto all = std::apply(
        [](const auto&... entry) {
            return std::apply([](const auto&... term) { return detail::with_types(std::tuple<>{}, term...); },
                              std::tuple_cat(detail::terms_of(entry.objective)...));
        },
        entries);
    std::apply([&](const auto&... term) { ((std::get<std::decay_t<decltype(term)>>(all) = term), ...); },
               detail::terms_of(o));
    return distill::detail::make_objective(
        std::make_tuple(distill::detail::make_group(distill::inherited_temperature{}, all)));
}

}  // namespace distill_test
