// The objectives of a catalogue through heads, in double, against the reference on logits by plain loops.
#pragma once

#include "heads.hpp"

#include <support/catalogue.hpp>

#include <doctest/doctest.h>

namespace heads {

// Every setting of a call in turn, so that each is beside some objective.
template <class Objective, class Reduction>
void check_objective(const char* name, const Objective& objective, const Reduction& reduction, const distill::temperature& t,
                     double cap) {
    CAPTURE(name);
    const problem p = make_problem(name, {.rows = 100, .vocabulary = 37, .width = 5, .teacher_width = 8});
    const distill::loss loss{objective, distill::reference{}, reduction, t, distill::soft_cap{cap}};

    auto in = p.batch<double>();
    in.student = {p.fields.student.data(), p.of.rows, p.of.vocabulary};
    in.teacher = {p.fields.teacher.data(), p.of.rows, p.of.vocabulary};
    std::vector<double> g(p.fields.student.size());
    const auto expected = loss(in, {g.data(), p.of.rows, p.of.vocabulary});
    const plain_gradients gradients = multiplied_back(p, g);

    stored_problem<double> s(p);
    const distill::through_heads f{loss, distill::eigen_product{}, distill::rows_at_once{64}};
    std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
    const auto found = f(s.student(), s.teacher(), p.batch<double>(), s.gradients(), memory);
    using distill_test::deviation;
    using distill_test::tolerance::rounding;
    CHECK(expected.active_rows > 50);
    CHECK(deviation(found.value, expected.value) < rounding);
    CHECK(found.denominator == expected.denominator);
    CHECK(found.active_rows == expected.active_rows);
    CHECK(found.clipped_rows == expected.clipped_rows);
    CHECK(found.guarded_rows == expected.guarded_rows);
    CHECK(distill_test::norm(gradients.weight) > 0.0);
    CHECK(deviation(s.hidden_gradient, gradients.hidden) < rounding);
    CHECK(deviation(s.weight_gradient, gradients.weight) < rounding);
    CHECK(deviation(s.bias_gradient, gradients.bias) < rounding);

    // The same with the teacher's logits in memory, or without a gradient.
    std::vector<std::byte> less(f.workspace_bytes(s.student()));
    auto dense = p.batch<double>();
    dense.teacher = in.teacher;
    const std::vector<double> kept = s.weight_gradient;
    CHECK(deviation(f(s.student(), dense, s.gradients(), less).value, expected.value) < rounding);
    CHECK(deviation(s.weight_gradient, kept) < rounding);
    CHECK(deviation(f(s.student(), dense, less).value, expected.value) < rounding);
}

template <class Catalogue>
void check_catalogue(const Catalogue& all) {
    int number = 0;
    distill_test::for_each_listed(all, [&](const auto& entry) {
        const auto objective = distill_test::as_sum_of_all(entry.objective, all);
        const distill::temperature t = number % 2 == 0 ? distill::temperature(1.0) : distill::temperature(1.5, 0.8);
        check_objective(entry.name, objective, distill::sequence_mean_of_sums{}, t, number % 3 == 0 ? 4.0 : 0.0);
        ++number;
    });
    CHECK(number == std::tuple_size_v<Catalogue>);
}

}  // namespace heads
