/// The CUDA team: the threads of a warp, of a block, or of several blocks share a row.
#pragma once

#include <distill/backend/cuda/lanes.cuh>
#include <distill/core/config.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/kernel/element.hpp>

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

/// 1 where the code that is compiled runs on a device, real or emulated.
#if defined(__CUDA_ARCH__) || defined(DISTILL_CUDA_EMULATION)
#define DISTILL_ON_DEVICE 1
#else
#define DISTILL_ON_DEVICE 0
#endif

namespace distill::device {

inline constexpr int warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;

/// The largest block that works on a row, and the most blocks that share one.
inline constexpr unsigned most_threads = 256, most_blocks_of_row = 32;

// The row program is one text for host and device; what only a device has stands here.
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
DISTILL_INLINE double from_lane_across(double mine, int distance) {
#if DISTILL_ON_DEVICE
    return __shfl_xor_sync(whole_warp, mine, distance);
#else
    static_cast<void>(distance);
    return mine;
#endif
}

/// Where the blocks that share a row meet, in global memory. `arrived` is 0 before the launch, which is cooperative: a block
/// that waits for another must not keep it from starting.
struct row_exchange {
    static constexpr unsigned turn_bit = 1u << 31;

    unsigned arrived;  ///< its highest bit turns when all blocks have come
    double of_block[2][most_blocks_of_row];

    /// Called by one thread of every block, which has waited for its own block: what any of the blocks wrote before is seen.
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

    /// The blocks' numbers combined in their order. The numbers of two meetings in a row have places of their own: a block may
    /// be at the next one while another still reads.
    template <class Operation>
    DISTILL_INLINE double combined(double mine, unsigned blocks, unsigned block, const Operation& combine) {
#if DISTILL_ON_DEVICE
        double* const numbers = of_block[__ldcv(&arrived) / turn_bit];
        numbers[block] = mine;
        meet(blocks, block);
        double all = __ldcg(numbers);
        for (unsigned b = 1; b < blocks; ++b) all = combine(all, __ldcg(numbers + b));
        return all;
#else
        static_cast<void>(blocks), static_cast<void>(block), static_cast<void>(combine);
        return mine;
#endif
    }
};

/// See kernel/row_program.hpp for what a team is. It is a warp where a block's x dimension is one, which then may have a row for
/// each of its warps; else a block; with an exchange, several blocks. Every thread works on `lanes_of_thread` consecutive
/// entries at a time, 16 bytes of the logits. Reductions add in an order that depends on the number of threads and of blocks
/// alone.
template <class Real, int Lanes>
struct row_team {
    static constexpr int lanes_of_thread = Lanes;
    using number = lanes<Real, lanes_of_thread>;
    using real = Real;
    using mask = lane_mask<lanes_of_thread>;

    double* in_block;  ///< shared memory, of places_in_block numbers
    row_exchange* exchange = nullptr;
    unsigned blocks = 1, block = 0;

    /// One number per warp, and one of the row.
    static constexpr unsigned place_of_row = most_threads / warp_size, places_in_block = place_of_row + 1;

    struct tile {
        std::ptrdiff_t begin, end;
    };
    /// Lanes [0, count) of a thread are at entries index, index + 1, ...
    struct place {
        std::ptrdiff_t index;
        int count;
    };

    /// Long enough that a reduction per tile costs little beside it; between blocks it costs more.
    template <class Body>
    DISTILL_INLINE void for_each_tile(std::ptrdiff_t count, const Body& body) const {
        const std::ptrdiff_t length = (exchange == nullptr ? 8 : 32) * entries_at_once();
        for (std::ptrdiff_t begin = 0; begin < count; begin += length)
            body(tile{begin, begin + length < count ? begin + length : count});
    }

    template <class Body>
    DISTILL_INLINE void for_each(const tile& t, const Body& body) const {
        const std::ptrdiff_t step = entries_at_once(), thread = block * threads_of_block() + thread_of_block();
        for (std::ptrdiff_t i = t.begin + lanes_of_thread * thread; i < t.end; i += step)
            body(place{i, t.end - i < lanes_of_thread ? static_cast<int>(t.end - i) : lanes_of_thread});
    }

    /// A thread adds its own in double, lanes_of_thread entries at a time.
    template <std::size_t Count, class Body>
    DISTILL_INLINE std::array<double, Count> precise_sum(const tile& t, const Body& body) const {
        std::array<double, Count> sums{};
        for_each(t, [&](const place& at) {
            const auto summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) sums[i] += sum_of_lanes(active(at, summands[i]));
        });
        for (std::size_t i = 0; i < Count; ++i) sums[i] = over_row(sums[i], [](double a, double b) { return a + b; });
        return sums;
    }

    template <class Element>
    DISTILL_INLINE number load(const Element* row, const place& at) const {
        struct alignas(sizeof(Element) * lanes_of_thread) group {
            Element lane[lanes_of_thread];
        };
        number x(masked_logit);
        const Element* const first = row + at.index;
        if (at.count == lanes_of_thread && reinterpret_cast<std::uintptr_t>(first) % alignof(group) == 0) {
            const group together = *reinterpret_cast<const group*>(first);
            for (int i = 0; i < lanes_of_thread; ++i) x.lane[i].value = static_cast<Real>(together.lane[i]);
        } else {
            for (int i = 0; i < lanes_of_thread; ++i)
                if (i < at.count) x.lane[i].value = static_cast<Real>(first[i]);
        }
        return x;
    }

    template <class Element>
    DISTILL_INLINE void prefetch_next_tile(const Element*, const place&) const {}

    template <class Element>
    DISTILL_INLINE void store(Element* row, const place& at, const number& x) const {
        struct alignas(sizeof(Element) * lanes_of_thread) group {
            Element lane[lanes_of_thread];
        };
        Element* const first = row + at.index;
        if (at.count == lanes_of_thread && reinterpret_cast<std::uintptr_t>(first) % alignof(group) == 0) {
            group together;
            for (int i = 0; i < lanes_of_thread; ++i) together.lane[i] = kernel::to_element<Element>(x.lane[i].value);
            *reinterpret_cast<group*>(first) = together;
        } else {
            for (int i = 0; i < lanes_of_thread; ++i)
                if (i < at.count) first[i] = kernel::to_element<Element>(x.lane[i].value);
        }
    }

    DISTILL_INLINE number active(const place& at, const number& x) const {
        number result;
        for (int i = 0; i < lanes_of_thread; ++i) result.lane[i] = i < at.count ? x.lane[i] : scalar<Real>(0.0);
        return result;
    }

    DISTILL_INLINE number indices(const place& at) const {
        number result;
        for (int i = 0; i < lanes_of_thread; ++i) result.lane[i].value = static_cast<Real>(at.index + i);
        return result;
    }

    DISTILL_INLINE double sum(const number& x) const {
        return over_row(sum_of_lanes(x), [](double a, double b) { return a + b; });
    }
    DISTILL_INLINE double maximum(const number& x) const {
        Real largest = x.lane[0].value;
        for (int i = 1; i < lanes_of_thread; ++i) largest = largest < x.lane[i].value ? x.lane[i].value : largest;
        return over_row(static_cast<double>(largest), [](double a, double b) { return a < b ? b : a; });
    }
    DISTILL_INLINE double minimum(const number& x) const {
        Real smallest = x.lane[0].value;
        for (int i = 1; i < lanes_of_thread; ++i) smallest = x.lane[i].value < smallest ? x.lane[i].value : smallest;
        return over_row(static_cast<double>(smallest), [](double a, double b) { return b < a ? b : a; });
    }
    DISTILL_INLINE bool any(const mask& m) const {
        bool found = false;
        for (int i = 0; i < lanes_of_thread; ++i) found = found || m.lane[i];
        return over_row(found ? 1.0 : 0.0, [](double a, double b) { return a < b ? b : a; }) > 0.0;
    }

    DISTILL_INLINE void synchronize() const {
        if (is_warp()) return synchronize_warp();
        synchronize_block();
        if (exchange == nullptr) return;
        if (thread_of_block() == 0) exchange->meet(blocks, block);
        synchronize_block();
    }
    DISTILL_INLINE bool leads() const { return block == 0 && thread_of_block() == 0; }

private:
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

    /// The threads' numbers combined, the same bits in every thread: a butterfly in each warp, then the warps in their order,
    /// then the blocks in theirs.
    template <class Operation>
    DISTILL_INLINE double over_row(double mine, const Operation& combine) const {
        for (int distance = warp_size / 2; distance > 0; distance /= 2)
            mine = combine(mine, from_lane_across(mine, distance));
        if (is_warp()) return mine;
        if (thread_of_block() % warp_size == 0) in_block[thread_of_block() / warp_size] = mine;
        synchronize_block();
        double all = in_block[0];
        for (std::ptrdiff_t warp = 1; warp < threads_of_block() / warp_size; ++warp) all = combine(all, in_block[warp]);
        if (exchange != nullptr && thread_of_block() == 0)
            in_block[place_of_row] = exchange->combined(all, blocks, block, combine);
        synchronize_block();  // before the next call writes
        return exchange == nullptr ? all : in_block[place_of_row];
    }
};

}  // namespace distill::device
