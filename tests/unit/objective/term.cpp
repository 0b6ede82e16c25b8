#include <distill/check/type_name.hpp>
#include <distill/check/validate.hpp>
#include <distill/composition/tgpo.hpp>
#include <distill/composition/vopd.hpp>
#include <distill/core/scalar.hpp>
#include <distill/divergence/entropy.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/divergence/reverse_kl.hpp>
#include <distill/divergence/uniform_cross_entropy.hpp>
#include <distill/normalizer/z_loss.hpp>
#include <distill/objective/term.hpp>
#include <distill/objective/term_from.hpp>
#include <distill/row/objective_traits.hpp>
#include <distill/token/cross_entropy.hpp>
#include <distill/token/policy_gradient.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

using namespace distill;

namespace {

template <class Objective>
constexpr std::size_t group_count = std::tuple_size_v<decltype(Objective::groups)>;

// "name weight temperature" of every term, in order; the loss's temperature is written as "-".
template <class Objective>
std::vector<std::string> terms_of(const Objective& o) {
    std::vector<std::string> found;
    const auto of_group = [&]<class Group>(const Group& group) {
        char temperature[16] = "-";
        if constexpr (!detail::inherits_temperature<Group>)
            std::snprintf(temperature, sizeof temperature, "%.1f", group.own_temperature.student);
        const auto add = [&]<class Term>(const weighted<Term>& term) {
            char text[80];
            std::snprintf(text, sizeof text, "%s %.2f %s", std::string(detail::type_name<Term>()).c_str(), term.weight,
                          temperature);
            found.emplace_back(text);
        };
        std::apply([&](const auto&... t) { (add(t), ...); }, group.terms);
    };
    std::apply([&](const auto&... group) { (of_group(group), ...); }, o.groups);
    return found;
}
using list = std::vector<std::string>;

}  // namespace

TEST_CASE("a term alone is an objective of weight 1 at the loss's temperature") {
    CHECK(terms_of(as_objective(forward_kl{})) == list{"forward_kl 1.00 -"});
    CHECK(terms_of(as_objective(as_objective(cross_entropy{}))) == list{"cross_entropy 1.00 -"});
}

TEST_CASE("sums flatten into one group, in order, whatever the brackets") {
    const auto left = (0.5 * forward_kl{} + reverse_kl{}) + entropy{} * -0.25;
    const auto right = 0.5 * forward_kl{} + (reverse_kl{} + -0.25 * entropy{});
    const list expected{"forward_kl 0.50 -", "reverse_kl 1.00 -", "entropy -0.25 -"};
    CHECK(terms_of(left) == expected);
    CHECK(terms_of(right) == expected);
    static_assert(std::is_same_v<decltype(left), decltype(right)>);
    static_assert(group_count<decltype(left)> == 1);
}

TEST_CASE("a factor reaches every term of every group") {
    const auto o = 2.0 * (0.5 * forward_kl{} + at_temperature(temperature{3.0}, reverse_kl{} + 0.25 * entropy{})) * 0.5;
    CHECK(terms_of(o) == list{"forward_kl 0.50 -", "reverse_kl 1.00 3.0", "entropy 0.25 3.0"});
}

TEST_CASE("a difference, a negative and a quotient are sums with other coefficients") {
    const auto sum = 0.5 * forward_kl{} + reverse_kl{};
    CHECK(terms_of(-sum) == list{"forward_kl -0.50 -", "reverse_kl -1.00 -"});
    CHECK(terms_of(-forward_kl{}) == list{"forward_kl -1.00 -"});
    CHECK(terms_of(sum / 4) == list{"forward_kl 0.12 -", "reverse_kl 0.25 -"});
    CHECK(std::get<0>(std::get<0>((forward_kl{} / 3.0).groups).terms).weight == 1.0 / 3.0);
    CHECK(terms_of(forward_kl{} - 0.25 * entropy{}) == list{"forward_kl 1.00 -", "entropy -0.25 -"});
    CHECK(terms_of(entropy{} - sum - reverse_kl{}) ==
          list{"entropy 1.00 -", "forward_kl -0.50 -", "reverse_kl -1.00 -", "reverse_kl -1.00 -"});
    CHECK(terms_of(entropy{} - at_temperature(temperature{2.0}, sum)) ==
          list{"entropy 1.00 -", "forward_kl -0.50 2.0", "reverse_kl -1.00 2.0"});
}

TEST_CASE("terms that were given a temperature keep it, and those without share one group") {
    const auto cold = at_temperature(temperature{0.5}, forward_kl{});
    CHECK(terms_of(at_temperature(temperature{4.0}, cold)) == list{"forward_kl 1.00 0.5"});
    const auto o = cold + reverse_kl{} + at_temperature(temperature{2.0}, entropy{}) + cross_entropy{};
    CHECK(terms_of(o) == list{"reverse_kl 1.00 -", "cross_entropy 1.00 -", "forward_kl 1.00 0.5", "entropy 1.00 2.0"});
    CHECK(group_count<decltype(o)> == 3);
    CHECK(terms_of(at_temperature(temperature{9.0}, o)) ==
          list{"reverse_kl 1.00 9.0", "cross_entropy 1.00 9.0", "forward_kl 1.00 0.5", "entropy 1.00 2.0"});
}

TEST_CASE("the loss's temperature is that of the terms without one") {
    const auto o = forward_kl{} + at_temperature(temperature{3.0, 2.0}, reverse_kl{});
    const auto temperatures = row::group_temperatures(o, temperature{0.5});
    CHECK(temperatures[0].student == 0.5);
    CHECK(temperatures[0].teacher == 0.5);
    CHECK(temperatures[1].student == 3.0);
    CHECK(temperatures[1].teacher == 2.0);
}

TEST_CASE("a composition is the sum it names") {
    const auto o = as_objective(tgpo{.coefficient = 0.75, .surrogate = {.upper = 1.28}});
    CHECK(terms_of(o) == list{"clipped_surrogate 1.00 -", "teacher_guidance 0.75 -"});
    CHECK(std::get<0>(std::get<0>(o.groups).terms).value.upper == 1.28);
    CHECK(terms_of(2.0 * tgpo{.coefficient = 0.25} + entropy{}) ==
          list{"clipped_surrogate 2.00 -", "teacher_guidance 0.50 -", "entropy 1.00 -"});
}

TEST_CASE("parameters of terms survive the algebra") {
    const auto o = 0.5 * (jensen_shannon{0.25} + forward_kl{});
    CHECK(std::get<0>(std::get<0>(o.groups).terms).value.teacher_weight == 0.25);
}

TEST_CASE("a term needs the teacher unless it says otherwise, and a token term its token") {
    CHECK(needs_of<forward_kl>() == fields::teacher);
    CHECK(needs_of<entropy>() == fields::none);
    CHECK(needs_of<cross_entropy>() == fields::labels);
    CHECK(needs_of<teacher_guidance>() == fields::teacher_label);
    CHECK(needs_of<policy_gradient>() == (fields::tokens | fields::advantages));
    CHECK(needs_of<clipped_surrogate>() == (fields::tokens | fields::advantages | fields::old_log_probs));
}

TEST_CASE("a token term of weight 0 asks for no field") {
    CHECK(detail::needed_fields(as_objective(tgpo{.coefficient = 0.0})) == needs_of<clipped_surrogate>());
    CHECK(detail::needed_fields(as_objective(tgpo{})) == (needs_of<clipped_surrogate>() | fields::teacher_label));
    CHECK(detail::needed_fields(0.0 * (cross_entropy{} + policy_gradient{})) == fields::none);
}

TEST_CASE("what is marked per_row is marked in every term, whatever is done to it afterwards") {
    const auto marked = 0.5 * per_row(2.0 * forward_kl{} + cross_entropy{}) + reverse_kl{};
    const auto& terms = std::get<0>(marked.groups).terms;
    CHECK(std::get<0>(terms).per_row);
    CHECK(std::get<0>(terms).weight == 1.0);
    CHECK(std::get<1>(terms).per_row);
    CHECK(!std::get<2>(terms).per_row);
    CHECK(contains(detail::needed_fields(marked), fields::coefficients));
    CHECK(!contains(detail::needed_fields(as_objective(reverse_kl{})), fields::coefficients));
}

TEST_CASE("what an objective asks of a row is known from its type") {
    using kl = row::objective_traits<decltype(as_objective(forward_kl{}))>;
    static_assert(kl::has_vocabulary_terms && kl::reads_teacher && !kl::needs_dlogp_sum && kl::token_terms == 0);
    using both = row::objective_traits<decltype(forward_kl{} + reverse_kl{})>;
    static_assert(both::needs_dlogp_sum && both::groups == 1);
    using tokens = row::objective_traits<decltype(as_objective(tgpo{}))>;
    static_assert(!tokens::has_vocabulary_terms && !tokens::reads_teacher && !tokens::needs_dlogp_sum);
    static_assert(tokens::token_terms == 2 && tokens::may_want_teacher_label);
    using bonus = row::objective_traits<decltype(entropy{} + cross_entropy{})>;
    static_assert(bonus::has_vocabulary_terms && !bonus::reads_teacher && !bonus::may_want_teacher_label);
    using hinton = row::objective_traits<decltype(cross_entropy{} + at_temperature(temperature{2.0}, forward_kl{}))>;
    static_assert(hinton::groups == 2 && hinton::reads_teacher);
    using shaped =
        row::objective_traits<decltype(vopd{} + z_loss{} + at_temperature(temperature{2.0}, uniform_cross_entropy{}))>;
    static_assert(shaped::normalizer_terms == 1 && shaped::token_terms == 1 && shaped::has_row_dependent_terms);
    static_assert(shaped::may_want_teacher_softmax && !shaped::reads_teacher && !tokens::has_row_dependent_terms);
    static_assert(shaped::inherits_temperature()[0] && !shaped::inherits_temperature()[1]);
    CHECK(hinton::groups == 2);
}

TEST_CASE("a lambda is a term, and is differentiated where it returns its value alone") {
    const auto own = term_from([](const auto& e) { return e.p * e.log_ratio; });
    static_assert(vocabulary_term<std::remove_const_t<decltype(own)>>);
    const entry<scalar<double>> e{.log_p = -1.0, .p = 0.25, .log_q = -1.5, .q = 0.1, .log_ratio = 0.5, .difference = 0.15};
    const auto s = evaluate(own, e);
    CHECK(s.value.value == doctest::Approx(0.125));
    CHECK(s.dlogp.value == doctest::Approx(0.25 * 0.5 + 0.25));
    CHECK(terms_of(0.5 * own + forward_kl{}).front().starts_with("term_from 0.50"));
}

namespace nested {
struct own_term {};
template <class T>
struct own_template {};
}  // namespace nested
enum class own_enum {};

TEST_CASE("a type's name is its own, without namespaces and template arguments") {
    CHECK(detail::type_name<forward_kl>() == "forward_kl");
    CHECK(detail::type_name<nested::own_term>() == "own_term");
    CHECK(detail::type_name<nested::own_template<nested::own_term>>() == "own_template");
    CHECK(detail::type_name<own_enum>() == "own_enum");
    CHECK(detail::type_name<int>() == "int");
    struct local {};
    CHECK(detail::type_name<local>() == "local");
}
