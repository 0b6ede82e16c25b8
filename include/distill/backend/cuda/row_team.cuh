/// The CUDA team: the threads of a warp, of a block, or of several blocks share a row.
#pragma once

#include <distill/backend/cuda/lanes.cuh>
#include <distill/core/config.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/row/call_outlined.hpp>
#include <distill/row/element.hpp>

#include <cuda_runtime.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

/// 1 where the code that is compiled runs on a device. A consumer that runs kernels elsewhere defines it.
#ifndef DISTILL_ON_DEVICE
#ifdef __CUDA_ARCH__
#define DISTILL_ON_DEVICE 1
#else
#define DISTILL_ON_DEVICE 0
#endif
#endif

namespace distill::inline DISTILL_ABI::device {

inline constexpr int warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;

/// The largest block that works on a row, and the most blocks that share one.
inline constexpr unsigned max_threads = 256, max_blocks_of_row = 32;

#ifdef __CUDA_ARCH__
#define DISTILL_UNROLL _Pragma("unroll")
#else
#define DISTILL_UNROLL
#endif

// The row program is one text for host and device. These are the functions that only a device has.
DISTILL_INLINE std::ptrdiff_t thread_of_block() {
#if DISTILL_ON_DEVICE
    return threadIdx.x;
#else
    return 0;
#endif
}
DISTILL_INLINE std::ptrdiff_t threads_of_block() {
#if DISTILL_ON_DEVICE
    return blockDim.x;
#else
    return warp_size;
#endif
}
DISTILL_INLINE void synchronize_block() {
#if DISTILL_ON_DEVICE
    __syncthreads();
#endif
}
DISTILL_INLINE void synchronize_warp() {
#if DISTILL_ON_DEVICE
    __syncwarp();
#endif
}
DISTILL_INLINE double from_other_block(const double* number) {
#if DISTILL_ON_DEVICE
    return __ldcg(number);  // not from this multiprocessor's cache
#else
    return *number;
#endif
}
DISTILL_INLINE double from_lane_across(double mine, int distance) {
#if DISTILL_ON_DEVICE
    return __shfl_xor_sync(whole_warp, mine, distance);
#else
    static_cast<void>(distance);
    return mine;
#endif
}

/// Where the blocks that share a row meet, in global memory. `arrived` is 0 before the launch. The launch is cooperative, so
/// that all blocks that wait for each other run.
struct row_exchange {
    static constexpr unsigned turn_bit = 1u << 31;

    unsigned arrived;  ///< its highest bit changes when the last block has arrived
    double of_block[2][max_blocks_of_row];

    /// Called by one thread of every block, after the block's own barrier. After it, every block sees what any of them wrote
    /// before.
    DISTILL_INLINE void meet(unsigned blocks, unsigned block) {
#if DISTILL_ON_DEVICE
        __threadfence();
        const unsigned before = atomicAdd(&arrived, block == 0 ? turn_bit - (blocks - 1) : 1u);
        while (((before ^ __ldcv(&arrived)) & turn_bit) == 0) __nanosleep(20);
        __threadfence();
#else
        static_cast<void>(blocks), static_cast<void>(block);
#endif
    }

    /// Where the blocks write their numbers for the next meeting. Consecutive meetings use different places: one block may
    /// be at the next meeting while another still reads.
    DISTILL_INLINE double* numbers_of_turn() {
#if DISTILL_ON_DEVICE
        return of_block[__ldcv(&arrived) / turn_bit];
#else
        return of_block[0];
#endif
    }
};

/// A row::team. It is a warp where a block's x dimension is one, which then may have a row for
/// each of its warps; else a block; with an exchange, several blocks. Every thread works on `lanes_of_thread` consecutive
/// entries at a time, 16 bytes of the logits, and has LoadsOfTerms such loads of a row under way where terms are evaluated.
/// Reductions add in an order that depends on the number of threads and of blocks alone.
template <class Real, int Lanes, int LoadsOfTerms = 1>
struct row_team {
    static constexpr int lanes_of_thread = Lanes;
    using number = lanes<Real, lanes_of_thread>;
    using real = Real;
    using mask = lane_mask<lanes_of_thread>;

    /// Loads of a thread that are under way in a sweep that sums what one row holds.
    static constexpr int loads_of_sums = lanes_of_thread == 4 ? 4 : 2;

    double* in_block;           ///< shared memory, of places_in_block numbers
    void* in_common = nullptr;  ///< shared memory of the team's part in the block, for common
    row_exchange* exchange = nullptr;
    unsigned blocks = 1, block = 0;
    bool loads_vectors = false;  ///< every row that is read or written allows_vectors

    template <class Element>
    DISTILL_INLINE static bool allows_vectors(const Element* row) {
        return reinterpret_cast<std::uintptr_t>(row) % alignof(vector_of<Element>) == 0;
    }

    /// One number per warp, and one of the row.
    static constexpr unsigned place_of_row = max_threads / warp_size, places_in_block = place_of_row + 1;

    struct tile {
        std::ptrdiff_t begin, end;
    };
    /// A thread's lanes are at entries index, index + 1, ... of rows that allow vectors.
    struct place {
        std::ptrdiff_t index;
    };
    /// Lanes [0, count), of any rows.
    struct part_place {
        std::ptrdiff_t index;
        int count;
    };

    template <class Body>
    DISTILL_INLINE void outlined(const Body& body) const {
        row::call_outlined(body);
    }

    /// Tiles are so long that a reduction per tile costs little. Between blocks a reduction costs more, and tiles are
    /// longer.
    template <class Body>
    DISTILL_INLINE void for_each_tile(std::ptrdiff_t count, const Body& body) const {
        const std::ptrdiff_t length = (exchange == nullptr ? 8 : 32) * entries_at_once();
        for (std::ptrdiff_t begin = 0; begin < count; begin += length)
            body(tile{begin, begin + length < count ? begin + length : count});
    }

    template <int Loads = LoadsOfTerms, class Body>
    DISTILL_INLINE void for_each(const tile& t, const Body& body) const {
        const std::ptrdiff_t step = entries_at_once(), thread = block * threads_of_block() + thread_of_block();
        std::ptrdiff_t i = t.begin + lanes_of_thread * thread;
        if (loads_vectors) {
            for (; i + (Loads - 1) * step + lanes_of_thread <= t.end; i += Loads * step) {
                DISTILL_UNROLL
                for (int load = 0; load < Loads; ++load) body(place{i + load * step});
            }
        }
        for (; i < t.end; i += step)
            body(part_place{i, t.end - i < lanes_of_thread ? static_cast<int>(t.end - i) : lanes_of_thread});
    }

    /// Each thread adds its own entries in double, lanes_of_thread at a time; then the threads' sums are added.
    template <std::size_t Count, class Body>
    DISTILL_INLINE std::array<double, Count> precise_sum(const tile& t, const Body& body) const {
        std::array<double, Count> sums{};
        for_each<loads_of_sums>(t, [&](const auto& at) DISTILL_INLINE_LAMBDA {
            const auto summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) sums[i] += sum_of_lanes(active(at, summands[i]));
        });
        for (std::size_t i = 0; i < Count; ++i) sums[i] = sum_of_threads(sums[i]);
        return sums;
    }

    template <class Element>
    DISTILL_INLINE number load(const Element* row, const place& at) const {
        const auto* const first = reinterpret_cast<const vector_of<Element>*>(row + at.index);
        const auto together = std::bit_cast<elements<Element>>(*first);
        number x;
        for (int i = 0; i < lanes_of_thread; ++i) x.lane[i].value = row::from_element<Real>(together.lane[i]);
        return x;
    }
    template <class Element>
    DISTILL_INLINE number load(const Element* row, const part_place& at) const {
        if (loads_vectors && at.count == lanes_of_thread) return load(row, place{at.index});
        number x(masked_logit);
        for (int i = 0; i < lanes_of_thread; ++i)
            if (i < at.count) x.lane[i].value = row::from_element<Real>(row[at.index + i]);
        return x;
    }

    template <class Element, class At>
    DISTILL_INLINE void prefetch_next_tile(const Element*, const At&) const {}

    template <class Element>
    DISTILL_INLINE void store(Element* row, const place& at, const number& x) const {
        elements<Element> together;
        for (int i = 0; i < lanes_of_thread; ++i) together.lane[i] = row::to_element<Element>(x.lane[i].value);
        *reinterpret_cast<vector_of<Element>*>(row + at.index) = std::bit_cast<vector_of<Element>>(together);
    }
    template <class Element>
    DISTILL_INLINE void store(Element* row, const part_place& at, const number& x) const {
        if (loads_vectors && at.count == lanes_of_thread) return store(row, place{at.index}, x);
        for (int i = 0; i < lanes_of_thread; ++i)
            if (i < at.count) row[at.index + i] = row::to_element<Element>(x.lane[i].value);
    }

    DISTILL_INLINE number active(const place&, const number& x) const { return x; }
    DISTILL_INLINE number active(const part_place& at, const number& x) const {
        number result;
        for (int i = 0; i < lanes_of_thread; ++i) result.lane[i] = i < at.count ? x.lane[i] : scalar<Real>(0.0);
        return result;
    }

    template <class At>
    DISTILL_INLINE number indices(const At& at) const {
        number result;
        for (int i = 0; i < lanes_of_thread; ++i) result.lane[i].value = static_cast<Real>(at.index + i);
        return result;
    }

    DISTILL_INLINE double sum(const number& x) const { return sum_of_threads(sum_of_lanes(x)); }
    DISTILL_INLINE double maximum(const number& x) const {
        Real largest = x.lane[0].value;
        for (int i = 1; i < lanes_of_thread; ++i) largest = largest < x.lane[i].value ? x.lane[i].value : largest;
        return over_row(largest, std::numeric_limits<double>::lowest(), [](double a, double b) { return a < b ? b : a; });
    }
    DISTILL_INLINE double minimum(const number& x) const {
        Real smallest = x.lane[0].value;
        for (int i = 1; i < lanes_of_thread; ++i) smallest = x.lane[i].value < smallest ? x.lane[i].value : smallest;
        return over_row(smallest, (std::numeric_limits<double>::max)(), [](double a, double b) { return b < a ? b : a; });
    }
    DISTILL_INLINE bool any(const mask& m) const {
        bool found = false;
        for (int i = 0; i < lanes_of_thread; ++i) found = found || m.lane[i];
        return sum_of_threads(found ? 1.0 : 0.0) > 0.0;
    }

    DISTILL_INLINE void synchronize() const {
        if (is_warp()) return synchronize_warp();
        synchronize_block();
        if (exchange == nullptr) return;
        if (thread_of_block() == 0) exchange->meet(blocks, block);
        synchronize_block();
    }

    /// In the block's shared memory, one T at a time. Where blocks share a row, the first block's T is used.
    template <class T>
    struct common {
        T& value;
        DISTILL_INLINE explicit common(const row_team& team) : value(*static_cast<T*>(team.in_common)) {}
    };
    /// The first block's threads in turn.
    template <class Body>
    DISTILL_INLINE void distribute(std::size_t count, const Body& body) const {
        if (block != 0) return;
        std::size_t mine = static_cast<std::size_t>(thread_of_block());
        for (std::size_t i = 0; i < count; ++i) {
            if (i != mine) continue;
            body(i);
            mine += static_cast<std::size_t>(threads_of_block());
        }
    }
    DISTILL_INLINE double sum_of_threads(double x) const {
        return over_row(x, 0.0, [](double a, double b) { return a + b; });
    }
    DISTILL_INLINE bool leads() const { return block == 0 && thread_of_block() == 0; }

private:
    template <class Element>
    struct elements {
        Element lane[lanes_of_thread];
    };
    /// As many bytes as a thread's elements have, at an address that allows loads of 16 bytes, or of all of them where they
    /// are fewer.
    template <class Element>
    struct alignas(sizeof(elements<Element>) < 16 ? sizeof(elements<Element>) : 16) vector_of {
        std::uint32_t words[sizeof(elements<Element>) / sizeof(std::uint32_t)];
    };
    DISTILL_INLINE static bool is_warp() { return threads_of_block() == warp_size; }
    DISTILL_INLINE std::ptrdiff_t entries_at_once() const { return lanes_of_thread * threads_of_block() * blocks; }

    template <int Count = lanes_of_thread>
    DISTILL_INLINE static double sum_of_lanes(const number& x, int first = 0) {
        if constexpr (Count == 2)
            return static_cast<double>(x.lane[first].value + x.lane[first + 1].value);
        else if constexpr (Count == 4)
            return static_cast<double>((x.lane[first].value + x.lane[first + 1].value) +
                                       (x.lane[first + 2].value + x.lane[first + 3].value));
        else
            return sum_of_lanes<4>(x, first) + sum_of_lanes<Count - 4>(x, first + 4);
    }

    /// The threads' numbers combined, the same bits in every thread: within each warp, then over the warps, then over the
    /// blocks.
    template <class Operation>
    DISTILL_INLINE double over_row(double mine, double neutral, const Operation& combine) const {
        const auto over_warp = [&](double x) DISTILL_INLINE_LAMBDA {
            for (int distance = warp_size / 2; distance > 0; distance /= 2) x = combine(x, from_lane_across(x, distance));
            return x;
        };
        mine = over_warp(mine);
        if (is_warp()) return mine;
        const std::ptrdiff_t lane = thread_of_block() % warp_size, warp = thread_of_block() / warp_size;
        if (lane == 0) in_block[warp] = mine;
        synchronize_block();
        double all = over_warp(lane < threads_of_block() / warp_size ? in_block[lane] : neutral);
        if (exchange != nullptr && warp == 0) {
            double* const numbers = exchange->numbers_of_turn();
            synchronize_warp();  // before the turn changes
            if (lane == 0) {
                numbers[block] = all;
                exchange->meet(blocks, block);
            }
            synchronize_warp();
            all = over_warp(lane < blocks ? from_other_block(numbers + lane) : neutral);
            if (lane == 0) in_block[place_of_row] = all;
        }
        synchronize_block();  // before the next call writes
        return exchange == nullptr ? all : in_block[place_of_row];
    }
};

#undef DISTILL_UNROLL

}  // namespace distill::inline DISTILL_ABI::device
