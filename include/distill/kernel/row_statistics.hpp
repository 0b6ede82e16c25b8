/// What one sweep over a row's logits finds: the maximum, its position, and the softmax normaliser at each temperature.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/number.hpp>
#include <distill/kernel/logit_row.hpp>

#include <array>
#include <cmath>
#include <cstddef>

namespace distill {

/// Statistics of a row, or of a part of its vocabulary: parts merge, in any order of magnitude, so a row may be split over
/// threads, blocks or ranks. sums[t] = sum_v exp((x_v - maximum) * inverse_temperatures[t]).
template <std::size_t Temperatures>
struct row_statistics {
    double maximum = masked_logit;
    std::ptrdiff_t argmax = 0;  ///< lowest index of the maximum
    bool has_nan = false;
    std::array<double, Temperatures> sums{};

    /// False for a row without a softmax: NaN or +infinity somewhere, or -infinity everywhere.
    [[nodiscard]] constexpr bool usable() const noexcept { return !has_nan && is_finite(maximum) && maximum > masked_logit; }
};

/// The statistics of two parts together; `a` holds the lower indices.
template <std::size_t Temperatures>
constexpr row_statistics<Temperatures> merge(const row_statistics<Temperatures>& a, const row_statistics<Temperatures>& b,
                                             const std::array<double, Temperatures>& inverse_temperatures) {
    const bool from_b = b.maximum > a.maximum;
    row_statistics<Temperatures> merged{.maximum = from_b ? b.maximum : a.maximum,
                                        .argmax = from_b ? b.argmax : a.argmax,
                                        .has_nan = a.has_nan || b.has_nan,
                                        .sums = {}};
    for (std::size_t t = 0; t != Temperatures; ++t)
        merged.sums[t] = a.sums[t] * std::exp((a.maximum - merged.maximum) * inverse_temperatures[t]) +
                         b.sums[t] * std::exp((b.maximum - merged.maximum) * inverse_temperatures[t]);
    return merged;
}

namespace kernel {

inline constexpr double log2_e = 1.4426950408889634074;

/// One read of a row, mostly: a tile is summed relative to the maximum so far, and once more where it raises that maximum; the
/// first tile is scanned for its maximum beforehand. So the largest entry's exponential is exactly 1, and the sums keep more
/// digits than their summands: an error of the normaliser is an error of log p - log q at every entry.
template <bool WithArgmax, class Team, class Row, std::size_t Temperatures>
DISTILL_INLINE constexpr row_statistics<Temperatures> scan_row(
    const Team& team, const Row& row, std::ptrdiff_t vocabulary,
    const std::array<double, Temperatures>& inverse_temperatures) {
    using number = typename Team::number;
    number lane_maximum(masked_logit), position(0.0), largest(0.0);
    std::array<number, Temperatures> scales;
    for (std::size_t t = 0; t != Temperatures; ++t) scales[t] = number(inverse_temperatures[t] * log2_e);

    row_statistics<Temperatures> found;
    const auto look = [&](const auto& at, const number& x) DISTILL_INLINE_LAMBDA {
        largest = larger_magnitude(largest, x);
        if constexpr (WithArgmax) position = select(x > lane_maximum, team.indices(at), position);
        lane_maximum = max(x, lane_maximum);
    };
    const auto raise_maximum = [&](double raised) DISTILL_INLINE_LAMBDA {
        for (std::size_t t = 0; t != Temperatures; ++t)
            found.sums[t] *= std::exp((found.maximum - raised) * inverse_temperatures[t]);
        found.maximum = raised;
    };

    bool first = true;
    team.for_each_tile(vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
        if (first || Temperatures == 0) {
            team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA { look(at, load_logits(team, row, at)); });
            raise_maximum(team.maximum(lane_maximum));
            first = false;
        }
        if constexpr (Temperatures > 0) {
            for (bool again = true; again;) {
                const number reference(found.maximum);
                const auto of_tile =
                    team.template precise_sum<Temperatures>(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                        team.prefetch_next_tile(address_of(row), at);
                        const number x = load_logits(team, row, at);
                        look(at, x);
                        std::array<number, Temperatures> exponentials;
                        for (std::size_t t = 0; t != Temperatures; ++t) exponentials[t] = exp2((x - reference) * scales[t]);
                        return exponentials;
                    });
                const double raised = team.maximum(lane_maximum);
                again = raised > found.maximum;
                if (again)
                    raise_maximum(raised);
                else
                    for (std::size_t t = 0; t != Temperatures; ++t) found.sums[t] += of_tile[t];
            }
        }
    });

    found.has_nan = team.any(is_nan(largest));
    if constexpr (WithArgmax)
        found.argmax = static_cast<std::ptrdiff_t>(
            team.minimum(select(lane_maximum >= number(found.maximum), position, number(static_cast<double>(vocabulary)))));
    return found;
}

}  // namespace kernel
}  // namespace distill
