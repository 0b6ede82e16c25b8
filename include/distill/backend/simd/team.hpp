/// The SIMD team: the lanes of two vector registers work on consecutive entries of a row.
#pragma once

#include <distill/backend/simd/convert.hpp>
#include <distill/backend/simd/dispatch.hpp>
#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack.hpp>
#include <distill/backend/simd/pack_pair.hpp>

#include <distill/core/logits_view.hpp>
#include <distill/row/single_thread.hpp>

#include <array>
#include <cstddef>
#include <cstring>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI::simd {

/// A row::team. Float is the type computed in, Width the lanes of one register.
template <class Float, int Width>
struct team : row::single_thread {
    using half = pack<Float, Width>;
    using number = pack_pair<half>;
    using mask = typename number::mask_type;
    using real = Float;

    /// Lanes of both registers.
    static constexpr int lanes = 2 * Width;

    Float* row_scratch;  ///< as long as the vocabulary; null where the call keeps nothing

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
    DISTILL_INLINE void outlined(const Body& body) const {
        run_outlined<Width* static_cast<int>(sizeof(Float))>(only<Body>{body});
    }

    template <class Body>
    DISTILL_INLINE void for_each_tile(std::ptrdiff_t count, const Body& body) const {
        for (std::ptrdiff_t begin = 0; begin < count; begin += tile_length)
            body(tile{begin, begin + tile_length < count ? begin + tile_length : count});
    }

    template <class Body>
    DISTILL_INLINE void for_each(const tile& t, const Body& body) const {
        std::ptrdiff_t index = t.begin;
        for (; index + lanes <= t.end; index += lanes) body(place{index, lanes});
        if (index < t.end) body(place{index, static_cast<int>(t.end - index)});
    }

    /// Sums of body(at) over a tile, of summands from 0 to 1: two groups at a time are added, and those sums with what
    /// rounding takes from them.
    template <std::size_t Count, class Body>
    DISTILL_INLINE std::array<double, Count> precise_sum(const tile& t, const Body& body) const {
        std::array<compensated_sum, Count> sums;
        constexpr std::ptrdiff_t two_groups = std::ptrdiff_t{2} * lanes;
        std::ptrdiff_t index = t.begin;
        for (; index + two_groups <= t.end; index += two_groups) {
            const auto a = body(place{index, lanes}), b = body(place{index + lanes, lanes});
            for (std::size_t i = 0; i < Count; ++i) sums[i].add((a[i].first + a[i].second) + (b[i].first + b[i].second));
        }
        for (; index < t.end; index += lanes) {
            const place at{index, index + lanes <= t.end ? lanes : static_cast<int>(t.end - index)};
            const auto summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) {
                const number x = active(at, summands[i]);
                sums[i].add(x.first + x.second);
            }
        }
        std::array<double, Count> totals{};
        for (std::size_t i = 0; i < Count; ++i) totals[i] = sums[i].total();
        return totals;
    }

    template <class Element>
    DISTILL_INLINE number load(const Element* row, const place& at) const {
        if (at.count == lanes) return load_both(row + at.index);
        memory_of_lanes<Element> part{};
        std::memcpy(part.bytes, row + at.index, static_cast<std::size_t>(at.count) * sizeof(Element));
        return select(active_lanes(at), load_both(part.elements()), number(masked_logit));
    }

    /// A hint: the same place of the next tile is used soon.
    template <class Element>
    DISTILL_INLINE void prefetch_next_tile(const Element* row, const place& at) const {
        __builtin_prefetch(row + at.index + tile_length);
        __builtin_prefetch(row + at.index + Width + tile_length);
    }

    template <class Element>
    DISTILL_INLINE void store(Element* row, const place& at, const number& x) const {
        if (at.count == lanes) return store_both(row + at.index, x);
        memory_of_lanes<Element> part;
        store_both(part.elements(), x);
        std::memcpy(row + at.index, part.bytes, static_cast<std::size_t>(at.count) * sizeof(Element));
    }

    DISTILL_INLINE number active(const place& at, const number& x) const {
        return at.count == lanes ? x : select(active_lanes(at), x, number(0.0));
    }

    DISTILL_INLINE number indices(const place& at) const { return number(static_cast<double>(at.index)) + lane_numbers(); }

    DISTILL_INLINE double sum(const number& x) const { return horizontal_sum(x.first) + horizontal_sum(x.second); }
    DISTILL_INLINE double maximum(const number& x) const { return horizontal_max(max(x.first, x.second)); }
    DISTILL_INLINE double minimum(const number& x) const { return horizontal_min(min(x.first, x.second)); }
    DISTILL_INLINE bool any(const mask& m) const { return simd::any(m.first) || simd::any(m.second); }

private:
    /// A loop of one call. It has a copy of what it calls: what that reads must be seen not to alias what it writes.
    template <class Body>
    struct only {
        const Body& body;
        template <int Bytes>
        DISTILL_INLINE void operator()() const {
            const Body own = body;
            own();
        }
    };

    /// Elements of a type that may have no default constructor.
    template <class Element>
    struct memory_of_lanes {
        alignas(Element) unsigned char bytes[lanes * sizeof(Element)];

        DISTILL_INLINE Element* elements() { return reinterpret_cast<Element*>(bytes); }
    };

    template <class Element>
    static DISTILL_INLINE number load_both(const Element* source) {
        return {simd::load<Float, Width>(source), simd::load<Float, Width>(source + Width)};
    }
    template <class Element>
    static DISTILL_INLINE void store_both(Element* destination, const number& x) {
        simd::store<Float, Width>(destination, x.first);
        simd::store<Float, Width>(destination + Width, x.second);
    }

    /// Lane sums, and apart from them what the additions rounded away, exactly: the sum begins above any summand, and what
    /// is lost of a sum's smaller part is found by one subtraction less than what is lost of either (Dekker 1971).
    struct compensated_sum {
        static constexpr double begin = 16.0;
        half sum{begin}, lost{};

        DISTILL_INLINE void add(const half& x) {
            const half raised = fence(sum + x);
            lost = lost + fence(x - fence(raised - sum));
            sum = raised;
        }
        /// In double.
        DISTILL_INLINE double total() const {
            using wide = pack<double, Width / 2>;
            const auto widened = [](const half& x) DISTILL_INLINE_LAMBDA {
                typename vectors<Float, Width / 2>::floats parts[2];
                std::memcpy(&parts, &x.lanes, sizeof parts);
                return wide::from(__builtin_convertvector(parts[0], typename wide::floats) +
                                  __builtin_convertvector(parts[1], typename wide::floats));
            };
            return horizontal_sum(widened(sum) + widened(lost)) - begin * Width;
        }
    };

    static DISTILL_INLINE number lane_numbers() {
        half first;
        for (int i = 0; i < Width; ++i) first.lanes[i] = static_cast<Float>(i);
        return {first, first + half(Width)};
    }
    static DISTILL_INLINE mask active_lanes(const place& at) {
        return lane_numbers() < number(static_cast<double>(at.count));
    }
};

}  // namespace distill::inline DISTILL_ABI::simd

#include <distill/core/macros_of_others.hpp>
