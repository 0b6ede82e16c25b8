// The catalogue on the CUDA backend against the reference, for one element type: every objective at every small vocabulary, and
// all terms together at those of language models. Each objective is a sum of all types of terms of its half of the catalogue,
// with coefficients of its own: one kernel of an element type serves them all. Objectives with kernels of their own are in
// objectives.cu.
#pragma once

#include "on_device.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <distill/row/objective_traits.hpp>

#include <support/catalogue.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace distill_test {

// Without terms made from lambdas, which nvcc takes for no argument of a kernel.
template <class... Listed>
auto without_lambdas(const std::tuple<Listed...>& entries) {
    return std::apply(
        [](const auto&... entry) {
            const auto kept = []<class Objective>(const listed<Objective>& e) {
                if constexpr (std::is_same_v<Objective, distill::term_from<std::remove_const_t<decltype(user_lambda)>>>)
                    return std::tuple<>{};
                else
                    return std::make_tuple(e);
            };
            return std::tuple_cat(kept(entry)...);
        },
        entries);
}
inline auto vocabulary_half() { return without_lambdas(vocabulary_catalogue()); }
inline auto token_half() { return without_lambdas(token_catalogue()); }

template <class Catalogue>
using sum_of_all = decltype(as_sum_of_all(std::get<0>(std::declval<Catalogue>()).objective, std::declval<Catalogue>()));
using vocabulary_sum = sum_of_all<decltype(vocabulary_half())>;
using token_terms_sum = sum_of_all<decltype(token_half())>;

// On the reference, a sum over rows: compiled once for all element types.
device_answer expected_of(const vocabulary_sum& objective, const filled_rows& in, const device_call_options& options);
device_answer expected_of(const token_terms_sum& objective, const filled_rows& in, const device_call_options& options);

// What an element type keeps: of a loss, of a row's gradient as the norm of the error over the norm, and of one entry of it by
// its rounding, relative and where it is next to nothing.
template <class Element>
struct kept {
    static constexpr bool is_double = std::is_same_v<Element, double>, is_half = std::is_same_v<Element, __half>;
    static constexpr double loss = is_double ? tolerance::rounding : tolerance::single_loss,
                            gradient = is_double ? tolerance::rounding : tolerance::single_gradient,
                            rounding = sizeof(Element) > 2 ? 0.0
                                       : is_half           ? 0x1p-11
                                                           : 0x1p-8,
                            step = is_half ? 0x1p-25 : 0.0;
};

// Row by row. A row without a loss has no gradient.
template <class Element>
void holds(const device_answer& found, const device_answer& expected, const filled_rows& in, double of_gradient) {
    CHECK(found.result.denominator == expected.result.denominator);
    CHECK(found.result.active_rows == expected.result.active_rows);
    CHECK(found.result.nonfinite_rows == expected.result.nonfinite_rows);
    CHECK(found.result.clipped_rows == expected.result.clipped_rows);
    CHECK(found.padding_as_asked);
    CHECK(distill::is_finite(found.result.value) == distill::is_finite(expected.result.value));
    if (distill::is_finite(expected.result.value))
        CHECK(deviation(found.result.value, expected.result.value) <= kept<Element>::loss);
    for (std::size_t row = 0; row < in.rows; ++row) {
        CAPTURE(row);
        const auto gradient_of = [&](const device_answer& answer) {
            const auto begin = answer.gradient.begin() + static_cast<std::ptrdiff_t>(row * in.vocabulary);
            return std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(in.vocabulary));
        };
        std::vector<double> difference = gradient_of(found);
        const std::vector<double> gradient = gradient_of(expected);
        if (!distill::is_finite(expected.row_losses[row])) {
            CHECK(!distill::is_finite(found.row_losses[row]));
            CHECK(std::none_of(difference.begin(), difference.end(), [](double x) { return distill::is_finite(x); }));
            continue;
        }
        CHECK(deviation(found.row_losses[row], expected.row_losses[row]) <= kept<Element>::loss);
        CHECK(all_finite(difference));
        for (std::size_t v = 0; v < in.vocabulary; ++v) difference[v] -= gradient[v];
        CHECK(norm(difference) <= (of_gradient + kept<Element>::rounding) * norm(gradient) +
                                      kept<Element>::step * std::sqrt(static_cast<double>(in.vocabulary)));
    }
}

// Rows as Element stores them. Strange ones: entries without probability in row 0, a masked row of NaN, a NaN in the last row.
template <class Element>
filled_rows rows_of(std::mt19937& random, std::size_t rows, std::size_t vocabulary, bool strange) {
    filled_rows in = stored_rows<Element>(random_rows(random, rows, vocabulary));
    if (!strange) return in;
    for (const std::size_t v : {std::size_t{0}, vocabulary / 3, vocabulary - 1}) {
        const auto token = static_cast<std::int64_t>(v);
        if (token == in.tokens[0] || token == in.teacher_tokens[0] || token == in.labels[0]) continue;
        in.student_row(0)[v] = in.teacher_row(0)[v] = minus_infinity;
    }
    in.weights[1] = 0.0;
    for (std::size_t v = 0; v < vocabulary; ++v) in.student_row(1)[v] = in.teacher_row(1)[v] = distill::quiet_nan();
    in.weights[2] = 0.5;
    in.student_row(rows - 1)[vocabulary / 2] = distill::quiet_nan();
    return in;
}

// Aligned; odd addresses, strides and padding; in place; added to what is there.
inline device_call_options way(std::size_t number) {
    switch (number % 4) {
        case 0:
            return {};
        case 1:
            return {.logits = {1, 1}, .gradient = {2, 3}};
        case 2:
            return {.logits = {3, 1}, .in_place = true};
        default:
            return {.logits = {0, 2}, .gradient = {5, 0}, .adds = true};
    }
}

template <class Element, class Objective>
void agrees_with_reference(const Objective& objective, const filled_rows& in, const device_call_options& options,
                           double of_gradient = kept<Element>::gradient) {
    holds<Element>(on_device<Element>(objective, distill::token_sum{}, in, options), expected_of(objective, in, options), in,
                   of_gradient);
}

template <class Element, class Catalogue>
void every_objective_agrees(const char* label, const Catalogue& entries) {
    auto random = engine(std::string("cuda: conformance, ") + label);
    std::size_t number = 0;
    for (const std::size_t vocabulary : {1u, 31u, 32u, 33u, 1000u, 1003u}) {
        CAPTURE(vocabulary);
        const filled_rows plain = rows_of<Element>(random, 4, vocabulary, false),
                          strange = rows_of<Element>(random, 4, vocabulary, vocabulary > 1);
        for_each_listed(entries, [&](const auto& entry) {
            CAPTURE(entry.name);
            const bool jumps = entry.accuracy == near_equality::jumps && !kept<Element>::is_double;
            agrees_with_reference<Element>(as_sum_of_all(entry.objective, entries), number % 3 == 0 ? plain : strange,
                                           way(number),
                                           jumps ? tolerance::single_gradient_with_a_jump : kept<Element>::gradient);
            ++number;
        });
    }
}

// All terms at once, with random coefficients. Types begin with different ways, so that each meets each size in one of them.
template <class Element, class Catalogue>
void all_terms_agree(const char* label, const Catalogue& entries, std::size_t first_way) {
    auto random = engine(std::string("cuda: conformance at size, ") + label);
    std::uniform_real_distribution<double> coefficient(0.3, 1.0);
    std::size_t number = first_way;
    for (const auto& [vocabulary, calls] : {std::pair{4096u, 3}, {32000u, 2}, {151936u, 1}}) {
        CAPTURE(vocabulary);
        for (int call = 0; call < calls; ++call) {
            auto objective = as_sum_of_all(std::get<0>(entries).objective, entries);
            distill::row::for_each_term(objective, [&]<class Term>(auto, distill::weighted<Term>& t) {
                t.weight = coefficient(random);
                // The first is large where p and q have little in common. Fp32 may be on the other side of the second's
                // jump, and draw the third's neighbour.
                if constexpr (std::is_same_v<Term, distill::chi_squared>) t.weight *= 0.01;
                if constexpr (std::is_same_v<Term, distill::total_variation> ||
                              std::is_same_v<Term, distill::sampled_guidance>)
                    t.weight = 0.0;
            });
            const bool few = vocabulary > 10000;
            agrees_with_reference<Element>(objective, rows_of<Element>(random, few ? 1 : 3, vocabulary, !few),
                                           way(number++));
        }
    }
}

template <class Element>
void conforms(const std::string& type, std::size_t first_way) {
    every_objective_agrees<Element>((type + ", vocabulary").c_str(), vocabulary_half());
    every_objective_agrees<Element>((type + ", tokens").c_str(), token_half());
    all_terms_agree<Element>((type + ", vocabulary").c_str(), vocabulary_half(), first_way);
    all_terms_agree<Element>((type + ", tokens").c_str(), token_half(), first_way + 1);
}

}  // namespace distill_test
