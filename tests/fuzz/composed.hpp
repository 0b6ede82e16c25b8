// Objectives in two forms that are composed together: the library's, and the oracle's text of it.
#pragma once

#include <distill/backend/executor/thread_pool.hpp>
#include <distill/distill.hpp>

#include <fuzz/compiled.hpp>

#include <Eigen/Core>
#include <cstdio>
#include <functional>
#include <thread>
#include <type_traits>
#include <vector>

// With the library's namespace, which names its flags: translation units of other flags share no function here either.
namespace fuzz::inline DISTILL_ABI {

template <class Objective>
struct both {
    Objective typed;
    oracle::objective text;
};
template <class Objective>
both(Objective, oracle::objective) -> both<Objective>;

template <class A, class B>
auto operator+(const both<A>& a, const both<B>& b) {
    return both{a.typed + b.typed, a.text + b.text};
}
template <class A>
auto operator*(double factor, const both<A>& a) {
    return both{factor * a.typed, factor * a.text};
}
template <class A>
auto per_row(const both<A>& a) {
    return both{distill::per_row(a.typed), oracle::per_row(a.text)};
}
template <class A>
auto at(const oracle::temperature& t, const both<A>& a) {
    return both{distill::at_temperature(distill::temperature{t.student, t.teacher}, a.typed),
                oracle::at_temperature(t, a.text)};
}
template <class A>
auto where_student_entropy_above(double nats, const both<A>& a) {
    return both{distill::where(distill::student_entropy_above{nats}, a.typed), oracle::where({false, nats}, a.text)};
}
template <class A>
auto where_teacher_entropy_above(double nats, const both<A>& a) {
    return both{distill::where(distill::teacher_entropy_above{nats}, a.typed), oracle::where({true, nats}, a.text)};
}

// One term, and its text.
template <class Term>
auto one(const Term& typed, const oracle::term& text) {
    return both{typed, oracle::single(text)};
}

// The reduction that the call names; those over tokens take the offsets and leave them aside.
struct chosen_reduction {
    static constexpr bool needs_sequences = true;
    reduction kind = reduction::token_mean;
    bool given = false;
    double supplied = 1.0;

    template <class Visitor>
    double visit(const Visitor& visitor) const {
        switch (kind) {
            case reduction::token_mean:
                return visitor(given ? distill::token_mean(supplied) : distill::token_mean());
            case reduction::token_sum:
                return visitor(given ? distill::token_sum(supplied) : distill::token_sum());
            case reduction::sequence_mean:
                return visitor(given ? distill::sequence_mean(supplied) : distill::sequence_mean());
            case reduction::sequence_mean_of_sums:
                return visitor(given ? distill::sequence_mean_of_sums(supplied) : distill::sequence_mean_of_sums());
            default:
                return visitor(distill::normalized_by(supplied));
        }
    }
    [[nodiscard]] double sequence_factor(double weight) const {
        return visit([&](const auto& r) { return r.sequence_factor(weight); });
    }
    [[nodiscard]] double denominator(const distill::row_totals& totals) const {
        return visit([&](const auto& r) { return r.denominator(totals); });
    }
};

// The executor that the call names.
struct chosen_executor {
    executor kind = executor::serial;

    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
        if (kind == executor::serial) {
            distill::serial{}(count, body);
        } else if (kind == executor::backwards) {
            for (std::ptrdiff_t i = count; i > 0; --i) body(i - 1);
        } else if (kind == executor::two_threads) {
            const auto every_second = [&](std::ptrdiff_t first) {
                for (std::ptrdiff_t i = first; i < count; i += 2) body(i);
            };
            std::thread other([&] { every_second(1); });
            every_second(0);
            other.join();
        } else {
            static Eigen::ThreadPool pool(2);
            distill::thread_pool{pool}(count, body);
        }
    }
};

template <class Element>
constexpr element element_of() {
    if constexpr (std::is_same_v<Element, float>)
        return element::single;
    else if constexpr (std::is_same_v<Element, double>)
        return element::wide;
    else if constexpr (std::is_same_v<Element, Eigen::half>)
        return element::half;
    else
        return element::bfloat;
}

struct on_eigen {};
struct on_reference {};

template <class Backend>
auto backend_of(const request& r) {
    if constexpr (std::is_same_v<Backend, on_reference>) {
        return distill::reference{};
    } else {
        return distill::eigen{chosen_executor{r.runs_on}, r.widest == instructions::avx512 ? distill::instruction_set::avx512
                                                          : r.widest == instructions::avx2
                                                              ? distill::instruction_set::avx2
                                                              : distill::instruction_set::baseline};
    }
}

// The call itself. Reduction: chosen_reduction, or one of the library's own. Caps: whether the loss has a soft cap.
template <class Make, class Student, class Teacher, class Gradient, class Backend, class Reduction, bool Caps, bool Writes>
outcome call(const request& r) {
    const auto objective = Make{}(r.with).typed;
    distill::batch<Student, Teacher> in{
        .student = {static_cast<const Student*>(r.student), r.rows, r.vocabulary, r.student_stride}};
    if (r.teacher != nullptr) in.teacher = {static_cast<const Teacher*>(r.teacher), r.rows, r.vocabulary, r.teacher_stride};
    const auto values = [](const numbers& n) {
        return n.narrow != nullptr ? distill::row_values(n.narrow, n.size) : distill::row_values(n.wide, n.size);
    };
    const auto ids = [](const indices& n) {
        return n.narrow != nullptr ? distill::row_indices(n.narrow, n.size) : distill::row_indices(n.wide, n.size);
    };
    in.weights = values(r.weights), in.old_log_probs = values(r.old_log_probs), in.advantages = values(r.advantages);
    in.teacher_log_probs = values(r.teacher_log_probs), in.temperatures = values(r.temperatures);
    in.coefficients = values(r.coefficients), in.top_log_probs = values(r.top_log_probs);
    in.sequence_log_ratios = values(r.sequence_log_ratios);
    in.tokens = ids(r.tokens), in.teacher_tokens = ids(r.teacher_tokens), in.labels = ids(r.labels);
    in.sequence_offsets = ids(r.sequence_offsets), in.top_tokens = ids(r.top_tokens);
    const distill::temperature t{r.temperature.student, r.temperature.teacher};
    const auto reduction = [&] {
        if constexpr (std::is_same_v<Reduction, chosen_reduction>)
            return chosen_reduction{r.reduced, r.denominator_given, r.denominator};
        else
            return r.denominator_given ? Reduction(r.denominator) : Reduction();
    }();
    const auto with_caps = [&] {
        if constexpr (Caps)
            return distill::loss{objective, backend_of<Backend>(r), reduction, t,
                                 distill::soft_cap{r.student_cap, r.teacher_cap}};
        else
            return distill::loss{objective, backend_of<Backend>(r), reduction, t};
    };
    const std::span<double> row_losses(r.row_losses, static_cast<std::size_t>(r.rows));
    distill::loss_result result;
    try {
        if constexpr (Writes) {
            distill::gradient<Gradient> destination(static_cast<Gradient*>(r.gradient), r.rows, r.vocabulary,
                                                    r.gradient_stride);
            destination.adds = r.adds, destination.zeroes_padding = r.zeroes_padding;
            result = with_caps().per_token(in, row_losses, destination);
        } else {
            result = with_caps().per_token(in, row_losses);
        }
    } catch (const distill::invalid_input& problem) {
        std::fprintf(stderr, "%s\n", problem.what());
        return {.refused = true};
    }
    return {.value = result.value,
            .denominator = result.denominator,
            .active_rows = result.active_rows,
            .nonfinite_rows = result.nonfinite_rows,
            .clipped_rows = result.clipped_rows,
            .guarded_rows = result.guarded_rows};
}

// A line of a table: `entry<float>("name", [](const parameters& p) { return both; })`.
template <class Student, class Teacher = Student, class Gradient = Student, class Backend = on_eigen,
          class Reduction = chosen_reduction, bool Caps = false, bool Writes = true, class Make>
constexpr compiled entry(const char* name, const Make&) {
    constexpr bool in_double = std::is_same_v<Student, double> || std::is_same_v<Teacher, double> ||
                               std::is_same_v<Gradient, double> || std::is_same_v<Backend, on_reference>;
    return {name,
            element_of<Student>(),
            element_of<Teacher>(),
            element_of<Gradient>(),
            in_double,
            Caps,
            Writes,
            Reduction::needs_sequences,
            [](const parameters& p) { return Make{}(p).text; },
            &call<Make, Student, Teacher, Gradient, Backend, Reduction, Caps, Writes>};
}
template <class Make>
constexpr compiled capped(const char* name, const Make& make) {
    return entry<float, float, float, on_eigen, chosen_reduction, true>(name, make);
}
template <class Make>
constexpr compiled value_alone(const char* name, const Make& make) {
    return entry<float, float, float, on_eigen, chosen_reduction, false, false>(name, make);
}

// --------------------------------------------------------------------------------------------------- terms and their texts

using oracle::kind;

inline auto forward_kl() { return one(distill::forward_kl{}, {.what = kind::forward_kl}); }
inline auto reverse_kl() { return one(distill::reverse_kl{}, {.what = kind::reverse_kl}); }
inline auto jensen_shannon(double b) { return one(distill::jensen_shannon{b}, {.what = kind::jensen_shannon, .a = b}); }
inline auto total_variation() { return one(distill::total_variation{}, {.what = kind::total_variation}); }
inline auto squared_hellinger() { return one(distill::squared_hellinger{}, {.what = kind::squared_hellinger}); }
inline auto skew_forward_kl(double a) { return one(distill::skew_forward_kl{a}, {.what = kind::skew_forward_kl, .a = a}); }
inline auto skew_reverse_kl(double a) { return one(distill::skew_reverse_kl{a}, {.what = kind::skew_reverse_kl, .a = a}); }
inline auto chi_squared() { return one(distill::chi_squared{}, {.what = kind::chi_squared}); }
inline auto alpha_beta(double a, double b) {
    return one(distill::alpha_beta{a, b}, {.what = kind::alpha_beta, .a = a, .b = b});
}
inline auto todi() { return one(distill::todi{}, {.what = kind::todi}); }
inline auto adaptive_kl(double mu) { return one(distill::adaptive_kl{mu}, {.what = kind::adaptive_kl, .a = mu}); }
inline auto entropy() { return one(distill::entropy{}, {.what = kind::entropy}); }
inline auto uniform_cross_entropy() { return one(distill::uniform_cross_entropy{}, {.what = kind::uniform_cross_entropy}); }
inline auto cross_entropy() { return one(distill::cross_entropy{}, {.what = kind::cross_entropy}); }
inline auto teacher_guidance() { return one(distill::teacher_guidance{}, {.what = kind::teacher_guidance}); }
inline auto policy_gradient() { return one(distill::policy_gradient{}, {.what = kind::policy_gradient}); }
inline auto z_loss() { return one(distill::z_loss{}, {.what = kind::z_loss}); }
inline auto centered_log_ratio_advantage() {
    return one(distill::centered_log_ratio_advantage{}, {.what = kind::centered_log_ratio_advantage});
}
template <distill::kl_estimate Value, distill::kl_estimate Gradient>
auto kl_estimator() {
    return one(
        distill::kl_estimator<Value, Gradient>{},
        {.what = kind::kl_estimator, .value = static_cast<int>(Value) + 1, .gradient = static_cast<int>(Gradient) + 1});
}
template <distill::importance Ratio>
auto log_ratio_advantage(double floor, double ceiling, bool drops) {
    return one(distill::log_ratio_advantage<Ratio>(floor, ceiling, drops),
               {.what = kind::log_ratio_advantage,
                .a = floor,
                .b = ceiling,
                .with_ratio = Ratio == distill::importance::ratio,
                .drops = drops});
}
template <distill::importance Ratio>
auto power_advantage(double exponent) {
    return one(distill::power_advantage<Ratio>(exponent),
               {.what = kind::power_advantage, .a = exponent, .with_ratio = Ratio == distill::importance::ratio});
}
template <distill::importance Ratio>
auto mixture_advantage(double share) {
    return one(distill::mixture_advantage<Ratio>(share),
               {.what = kind::mixture_advantage, .a = share, .with_ratio = Ratio == distill::importance::ratio});
}
inline oracle::term text_of_surrogate(double lower, double upper, double dual = 0.0) {
    return {.what = kind::clipped_surrogate, .a = lower, .b = upper, .c = dual};
}
inline auto clipped_surrogate(double lower, double upper) {
    return one(distill::clipped_surrogate{.lower = lower, .upper = upper}, text_of_surrogate(lower, upper));
}
inline auto clipped_surrogate(double lower, double upper, double dual) {
    return one(distill::clipped_surrogate{.lower = lower, .upper = upper, .dual_clip = dual},
               text_of_surrogate(lower, upper, dual));
}
inline auto clipped_importance(double lower, double upper) {
    return one(distill::clipped_importance{lower, upper}, {.what = kind::clipped_importance, .a = lower, .b = upper});
}
inline auto sequence_surrogate(double lower, double upper) {
    return one(distill::sequence_surrogate{lower, upper}, {.what = kind::sequence_surrogate, .a = lower, .b = upper});
}
inline auto sampled_guidance(std::int64_t seed, std::int64_t first_row) {
    return one(distill::sampled_guidance{static_cast<std::uint64_t>(seed), first_row}, {.what = kind::sampled_guidance});
}
template <class Divergence>
auto on_top_tokens(const Divergence& d, kind inner, double a = 0.0, double b = 0.0) {
    return one(distill::on_top_tokens<Divergence>{d}, {.what = kind::on_top_tokens, .a = a, .b = b, .inner = inner});
}
template <distill::truncation Form>
auto top_forward_kl() {
    return one(distill::top_forward_kl<Form>{}, {.what = kind::top_forward_kl, .truncation = static_cast<int>(Form)});
}

}  // namespace fuzz::inline DISTILL_ABI
