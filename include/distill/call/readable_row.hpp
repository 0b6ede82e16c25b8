/// What is checked of a row where the host cannot read it.
#pragma once

#include <distill/call/checked_call.hpp>
#include <distill/core/batch.hpp>
#include <distill/core/number.hpp>
#include <distill/core/temperature.hpp>

#include <cstddef>
#include <cstdint>

namespace distill::inline DISTILL_ABI::call {

/// True where the row of a device is as the host requires of its own: its token ids lie in the vocabulary, none is in a set
/// twice, its weight and its temperature lie in their domains. A row of weight 0 may hold anything.
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
