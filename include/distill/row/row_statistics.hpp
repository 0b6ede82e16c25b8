/// What one sweep over a row's logits finds: the maximum, its position, and the softmax normaliser at each temperature.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/number.hpp>
#include <distill/row/logit_row.hpp>
#include <distill/row/row_constant.hpp>
#include <distill/row/scaled_exponential.hpp>

#include <array>
#include <cmath>
#include <cstddef>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

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

namespace row {

inline constexpr double log2_e = 1.4426950408889634074;

/// The maximum of so many entries is found before any is summed.
inline constexpr std::ptrdiff_t first_look = 16384;

/// The maximum of a row's beginning, lane by lane. Four maxima take turns, so that no comparison waits for the one before
/// it.
template <class Team, class Row>
DISTILL_INLINE constexpr typename Team::number lane_maxima(const Team& team, const Row& row, std::ptrdiff_t count) {
    using number = typename Team::number;
    number a(masked_logit), b = a, c = a, d = a;
    team.for_each_tile(count, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
        team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
            const number of_four = max(load_logits(team, row, at), a);
            a = b;
            b = c;
            c = d;
            d = of_four;
        });
    });
    return max(max(a, b), max(c, d));
}

/// Mostly one read of a row. The maximum of the row's beginning is found first. Then every tile is summed relative to the
/// maximum so far; a tile that raises the maximum is summed again. So the largest entry's exponential is exactly 1. The sums
/// keep more digits than their summands, since an error of the normaliser is an error of log p - log q at every entry.
template <bool WithArgmax, class Team, class Row, std::size_t Temperatures>
struct row_scan {
    Team team;
    Row row;
    std::ptrdiff_t vocabulary;
    const std::array<double, Temperatures>& inverse_temperatures;
    row_statistics<Temperatures>& found;

    DISTILL_INLINE constexpr void operator()() const {
        using number = typename Team::number;
        number lane_maximum(masked_logit), position(0.0), largest(0.0);
        std::array<scaled_exponential<number, false>, Temperatures> exponential;
        for (std::size_t t = 0; t != Temperatures; ++t)
            exponential[t] = scaled_exponential<number, false>(inverse_temperatures[t] * log2_e);

        found = {};
        const auto look = [&](const auto& at, const number& x) DISTILL_INLINE_LAMBDA {
            if constexpr (Temperatures == 0) largest = larger_magnitude(largest, x);
            if constexpr (WithArgmax) position = select(x > lane_maximum, team.indices(at), position);
            lane_maximum = max(x, lane_maximum);
        };
        if constexpr (Temperatures == 0) {
            team.for_each_tile(vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
                team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA { look(at, load_logits(team, row, at)); });
            });
            found.maximum = team.maximum(lane_maximum);
        } else {
            found.maximum = team.maximum(lane_maxima(team, row, vocabulary < first_look ? vocabulary : first_look));
            team.for_each_tile(vocabulary, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
                for (int looks = 0, needed = 1; looks < needed; ++looks) {
                    const number reference = row_constant<number>(found.maximum);
                    const auto of_tile =
                        team.template precise_sum<Temperatures>(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                            team.prefetch_next_tile(address_of(row), at);
                            const number x = load_logits(team, row, at);
                            look(at, x);
                            std::array<number, Temperatures> exponentials;
                            for (std::size_t t = 0; t != Temperatures; ++t) exponentials[t] = exponential[t](x - reference);
                            return exponentials;
                        });
                    if (looks == 0 && team.any(lane_maximum > reference)) {
                        const double raised = team.maximum(lane_maximum);
                        for (std::size_t t = 0; t != Temperatures; ++t)
                            found.sums[t] *= std::exp((found.maximum - raised) * inverse_temperatures[t]);
                        found.maximum = raised;
                        needed = 2;
                    } else {
                        for (std::size_t t = 0; t != Temperatures; ++t) found.sums[t] += of_tile[t];
                    }
                }
            });
        }

        found.has_nan = Temperatures == 0 && team.any(is_nan(largest));
        for (const double sum : found.sums) found.has_nan = found.has_nan || !is_finite(sum);
        if constexpr (WithArgmax)
            found.argmax = static_cast<std::ptrdiff_t>(team.minimum(
                select(lane_maximum >= number(found.maximum), position, number(static_cast<double>(vocabulary)))));
    }
};

/// What a row_scan finds. It is a function of its own, which all objectives share.
template <bool WithArgmax, class Team, class Row, std::size_t Temperatures>
DISTILL_INLINE constexpr row_statistics<Temperatures> scan_row(
    const Team& team, const Row& row, std::ptrdiff_t vocabulary,
    const std::array<double, Temperatures>& inverse_temperatures) {
    row_statistics<Temperatures> found;
    team.outlined(row_scan<WithArgmax, Team, Row, Temperatures>{team, row, vocabulary, inverse_temperatures, found});
    return found;
}

}  // namespace row
}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
