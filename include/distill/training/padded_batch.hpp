/// Row weights and sequence offsets of padded batches: sequences of different lengths as rows [batch, time].
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/row_array.hpp>
#include <distill/training/detail/arguments.hpp>

#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

namespace distill::inline DISTILL_ABI {

/// Where the rows without a token are in a sequence.
enum class padding {
    at_the_end,
    at_the_start,  ///< as generation from prompts of different lengths leaves them
};

/// weights[s * time + t] = 1 where row t of sequence s has a token, 0 where it is padding. `lengths` has the number of
/// tokens of each sequence, 0 to `time`. With these weights padding rows are never read. Errors: sizes that do not fit, a
/// length out of its range.
template <std::floating_point Float>
void weights_of_padded_batch(detail::passed<row_indices> lengths, std::ptrdiff_t time, std::span<Float> weights,
                             padding side = padding::at_the_end) {
    if (time < 0) return report_error({"time is ", time, ", expected at least 0"});
    if (!detail::is_given({"lengths", lengths}) || !detail::is_given({"weights", weights})) return;
    const auto size = static_cast<std::ptrdiff_t>(weights.size());
    if (time == 0 ? size != 0 : size % time != 0 || size / time != lengths.size())
        return report_error({"weights has ", size, " elements, expected ", lengths.size(), " sequences of ", time, " rows"});
    for (std::ptrdiff_t s = 0; s < lengths.size(); ++s)
        if (lengths[s] < 0 || lengths[s] > time)
            return report_error({"lengths[", s, "] is ", lengths[s], ", expected 0 to ", time});

    auto weight = weights.begin();
    for (std::ptrdiff_t s = 0; s < lengths.size(); ++s)
        for (std::ptrdiff_t t = 0; t < time; ++t) {
            const bool token = side == padding::at_the_end ? t < lengths[s] : t >= time - lengths[s];
            *weight++ = token ? Float(1) : Float(0);
        }
}

/// offsets[s] = s * time for s = 0 ... the number of sequences: the sequence offsets of rows [batch, time]. Errors: no room
/// for the first, more rows than the offsets' type can count.
template <std::signed_integral Integer>
void offsets_of_padded_batch(std::ptrdiff_t time, std::span<Integer> offsets) {
    if (time < 0) return report_error({"time is ", time, ", expected at least 0"});
    if (!detail::is_given({"offsets", offsets})) return;
    if (offsets.empty()) return report_error("offsets has 0 elements, expected one more than there are sequences");
    const auto sequences = static_cast<std::ptrdiff_t>(offsets.size()) - 1;
    if (sequences > 0 && time > (std::numeric_limits<Integer>::max)() / sequences)
        return report_error({"offsets are too narrow for ", sequences, " sequences of ", time, " rows"});
    for (std::size_t s = 0; s < offsets.size(); ++s)
        offsets[s] = static_cast<Integer>(static_cast<std::ptrdiff_t>(s) * time);
}

}  // namespace distill::inline DISTILL_ABI
