/// A checked call by value: what a backend carries to a device.
#pragma once

#include <distill/call/row_loop.hpp>
#include <distill/core/reduction.hpp>
#include <distill/core/result.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI::call {

/// Pointers in it, those of the batch too, are the device's.
template <class Objective, class Reduction, class Student, class Teacher, class Destination, class Caps>
struct device_call {
    using batch_type = batch<Student, Teacher>;
    using job_type = job<Objective, Reduction, Student, Teacher, Destination, Caps>;
    static constexpr bool needs_sequences = Reduction::needs_sequences;
    static constexpr bool has_token_sets = row::objective_traits<Objective>::token_set_terms > 0;
    static constexpr bool fits_terms_to_row = row::objective_traits<Objective>::has_row_dependent_terms;
    static constexpr std::size_t vocabulary_terms = row::objective_traits<Objective>::vocabulary_terms;
    /// What a team's common memory has to hold.
    using common_type = row::single_entries<row::objective_traits<Objective>>;

    Objective objective;
    Reduction reduction;
    temperature softmax_temperature;
    batch_type in;
    [[no_unique_address]] Caps caps;
    Destination destination;
    float* row_losses_narrow = nullptr;
    double* row_losses_wide = nullptr;
    loss_result* result = nullptr;
    fields needed = fields::none;

    [[nodiscard]] constexpr row_weigher<batch_type, Reduction> weigher() const { return {in, reduction}; }
    /// Refers to this call.
    [[nodiscard]] constexpr job_type with_denominator(double denominator) const {
        return {.objective = objective,
                .temperatures = row::group_temperatures(objective, softmax_temperature),
                .in = in,
                .weigher = weigher(),
                .denominator = denominator,
                .caps = caps,
                .destination = destination,
                .row_losses_narrow = row_losses_narrow,
                .row_losses_wide = row_losses_wide};
    }
};

/// What the host cannot see of a device's row: its token ids lie in the vocabulary, none is in a set twice, its weight and its
/// temperature lie in their domains. Of a row whose weight is 0 nothing is asked.
template <class Team, class Call>
DISTILL_INLINE constexpr bool is_readable(const Team& team, const Call& call, std::ptrdiff_t row) {
    const auto& in = call.in;
    const double weight = call.weigher().own_weight(row);
    if (weight == 0.0) return true;
    const auto in_vocabulary = [&](std::int64_t id) { return id >= 0 && id < in.student.vocabulary; };
    bool readable = is_finite(weight) && weight > 0.0;
    if (contains(call.needed, fields::tokens)) readable = readable && in_vocabulary(in.tokens[row]);
    if (!in.labels.empty()) readable = readable && in_vocabulary(in.labels[row]);
    if (contains(call.needed, fields::teacher_label) && !in.teacher_tokens.empty())
        readable = readable && in_vocabulary(in.teacher_tokens[row]);
    if (contains(call.needed, fields::teacher_top_tokens)) {
        const std::ptrdiff_t k = in.top_tokens.size() / in.student.rows;
        const auto token = [&](std::size_t i) { return in.top_tokens[row * k + static_cast<std::ptrdiff_t>(i)]; };
        double strange = 0.0;
        team.distribute(static_cast<std::size_t>(k), [&](std::size_t i) DISTILL_INLINE_LAMBDA {
            if (token(i) == ignored_label) return;
            bool fine = in_vocabulary(token(i));
            for (std::size_t earlier = 0; earlier < i; ++earlier) fine = token(earlier) != token(i) && fine;
            if (!fine) strange += 1.0;
        });
        readable = team.sum_of_threads(strange) == 0.0 && readable;
    }
    if (in.temperatures.empty()) return readable;
    return readable && is_temperature(in.temperatures[row] * call.softmax_temperature.student) &&
           is_temperature(in.temperatures[row] * call.softmax_temperature.teacher);
}

}  // namespace distill::inline DISTILL_ABI::call
