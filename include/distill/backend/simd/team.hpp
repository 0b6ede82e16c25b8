/// The SIMD team: the lanes of one vector register work on consecutive entries of a row.
#pragma once

#include <distill/backend/simd/convert.hpp>
#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack.hpp>

#include <distill/core/logits_view.hpp>
#include <distill/kernel/single_thread.hpp>

#include <array>
#include <cstddef>
#include <cstring>

namespace distill::simd {

/// See kernel/row_program.hpp for what a team is. Float is the type computed in, Width the lanes of one register.
template <class Float, int Width>
struct team : kernel::single_thread {
    using number = pack<Float, Width>;
    using real = Float;

    Float* row_scratch;  ///< as long as the vocabulary; null where the job keeps nothing

    [[nodiscard]] DISTILL_INLINE Float* scratch() const { return row_scratch; }

    struct tile {
        std::ptrdiff_t begin, end;
    };
    /// Lanes [0, count) of a group are at entries index, index + 1, ...
    struct place {
        std::ptrdiff_t index;
        int count;
    };

    /// A tile of each of the three buffers fits in the first-level cache.
    static constexpr std::ptrdiff_t tile_length = 1024;

    template <class Body>
    DISTILL_INLINE void for_each_tile(std::ptrdiff_t count, const Body& body) const {
        for (std::ptrdiff_t begin = 0; begin < count; begin += tile_length)
            body(tile{begin, begin + tile_length < count ? begin + tile_length : count});
    }

    template <class Body>
    DISTILL_INLINE void for_each(const tile& t, const Body& body) const {
        std::ptrdiff_t index = t.begin;
        for (; index + Width <= t.end; index += Width) body(place{index, Width});
        if (index < t.end) body(place{index, static_cast<int>(t.end - index)});
    }

    /// Sums of body(at) over a tile: four groups at a time are added pairwise, and those sums with what rounding takes from them.
    template <std::size_t Count, class Body>
    DISTILL_INLINE std::array<double, Count> precise_sum(const tile& t, const Body& body) const {
        std::array<compensated_sum, Count> sums;
        std::ptrdiff_t index = t.begin;
        for (; index + 4 * Width <= t.end; index += 4 * Width) {
            const auto a = body(place{index, Width}), b = body(place{index + Width, Width});
            const auto c = body(place{index + 2 * Width, Width}), d = body(place{index + 3 * Width, Width});
            for (std::size_t i = 0; i < Count; ++i) sums[i].add((a[i] + b[i]) + (c[i] + d[i]));
        }
        for_each(tile{index, t.end}, [&](const place& at) DISTILL_INLINE_LAMBDA {
            const auto summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) sums[i].add(active(at, summands[i]));
        });
        std::array<double, Count> totals{};
        for (std::size_t i = 0; i < Count; ++i) totals[i] = sums[i].total();
        return totals;
    }

    template <class Element>
    DISTILL_INLINE number load(const Element* row, const place& at) const {
        if (at.count == Width) return simd::load<Float, Width>(row + at.index);
        Element lanes[Width];
        for (int i = 0; i < Width; ++i) lanes[i] = i < at.count ? row[at.index + i] : Element{};
        return select(active_lanes(at), simd::load<Float, Width>(lanes), number(masked_logit));
    }

    /// A hint: the same place of the next tile is read soon.
    template <class Element>
    DISTILL_INLINE void prefetch_next_tile(const Element* row, const place& at) const {
        __builtin_prefetch(row + at.index + tile_length);
    }

    template <class Element>
    DISTILL_INLINE void store(Element* row, const place& at, const number& x) const {
        if (at.count == Width) return simd::store<Float, Width>(row + at.index, x);
        Element lanes[Width];
        simd::store<Float, Width>(lanes, x);
        for (int i = 0; i < at.count; ++i) row[at.index + i] = lanes[i];
    }

    DISTILL_INLINE number active(const place& at, const number& x) const {
        return at.count == Width ? x : select(active_lanes(at), x, number(0.0));
    }

    DISTILL_INLINE number indices(const place& at) const { return number(static_cast<double>(at.index)) + lane_numbers(); }

    DISTILL_INLINE double sum(const number& x) const { return horizontal_sum(x); }
    DISTILL_INLINE double maximum(const number& x) const { return horizontal_max(x); }
    DISTILL_INLINE double minimum(const number& x) const { return horizontal_min(x); }
    DISTILL_INLINE bool any(const mask<Float, Width>& m) const { return simd::any(m); }

private:
    /// Lane sums, and apart from them what the additions rounded away: Knuth's two-sum, for summands of any order of magnitude.
    struct compensated_sum {
        number sum{}, lost{};

        DISTILL_INLINE void add(const number& x) {
            const number raised = in_this_order(sum + x), of_x = in_this_order(raised - sum);
            lost = lost + in_this_order(in_this_order(sum - in_this_order(raised - of_x)) + in_this_order(x - of_x));
            sum = raised;
        }
        /// In double.
        DISTILL_INLINE double total() const {
            static constexpr int half = Width / 2;
            const auto widened = [](const number& x) DISTILL_INLINE_LAMBDA {
                typename vectors<Float, half>::floats halves[2];
                std::memcpy(&halves, &x.lanes, sizeof halves);
                return pack<double, half>::from(__builtin_convertvector(halves[0], typename pack<double, half>::floats) +
                                                __builtin_convertvector(halves[1], typename pack<double, half>::floats));
            };
            return horizontal_sum(widened(sum) + widened(lost));
        }
    };

    static DISTILL_INLINE number lane_numbers() {
        number lanes;
        for (int i = 0; i < Width; ++i) lanes.lanes[i] = static_cast<Float>(i);
        return lanes;
    }
    static DISTILL_INLINE mask<Float, Width> active_lanes(const place& at) {
        return lane_numbers() < number(static_cast<double>(at.count));
    }
};

}  // namespace distill::simd
