/// The CUDA team: the threads of one block share a row.
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
DISTILL_INLINE bool any_of_block(bool mine) {
#if DISTILL_ON_DEVICE
    return __syncthreads_or(mine ? 1 : 0) != 0;
#else
    return mine;
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

/// See kernel/row_program.hpp for what a team is. A block is whole warps; every thread works on `lanes_of_thread` consecutive
/// entries at a time, one 16-byte load of float. Reductions over the block add in an order that depends on the block's size
/// alone.
template <class Real>
struct block_team {
    static constexpr int lanes_of_thread = 16 / static_cast<int>(sizeof(Real));
    using number = lanes<Real, lanes_of_thread>;
    using real = Real;
    using mask = lane_mask<lanes_of_thread>;

    double* of_warps;  ///< shared memory: one number per warp

    struct tile {
        std::ptrdiff_t begin, end;
    };
    /// Lanes [0, count) of a thread are at entries index, index + 1, ...
    struct place {
        std::ptrdiff_t index;
        int count;
    };

    /// Long enough that a reduction per tile costs little beside it.
    static constexpr std::ptrdiff_t groups_of_tile = 8;

    template <class Body>
    DISTILL_INLINE void for_each_tile(std::ptrdiff_t count, const Body& body) const {
        const std::ptrdiff_t length = groups_of_tile * lanes_of_thread * threads_of_block();
        for (std::ptrdiff_t begin = 0; begin < count; begin += length)
            body(tile{begin, begin + length < count ? begin + length : count});
    }

    template <class Body>
    DISTILL_INLINE void for_each(const tile& t, const Body& body) const {
        const std::ptrdiff_t step = lanes_of_thread * threads_of_block();
        for (std::ptrdiff_t i = t.begin + lanes_of_thread * thread_of_block(); i < t.end; i += step)
            body(place{i, t.end - i < lanes_of_thread ? static_cast<int>(t.end - i) : lanes_of_thread});
    }

    /// A thread adds its own in double, four entries at a time.
    template <std::size_t Count, class Body>
    DISTILL_INLINE std::array<double, Count> precise_sum(const tile& t, const Body& body) const {
        std::array<double, Count> sums{};
        for_each(t, [&](const place& at) {
            const auto summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) sums[i] += sum_of_lanes(active(at, summands[i]));
        });
        for (std::size_t i = 0; i < Count; ++i) sums[i] = over_block(sums[i], [](double a, double b) { return a + b; });
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
        return over_block(sum_of_lanes(x), [](double a, double b) { return a + b; });
    }
    DISTILL_INLINE double maximum(const number& x) const {
        Real largest = x.lane[0].value;
        for (int i = 1; i < lanes_of_thread; ++i) largest = largest < x.lane[i].value ? x.lane[i].value : largest;
        return over_block(static_cast<double>(largest), [](double a, double b) { return a < b ? b : a; });
    }
    DISTILL_INLINE double minimum(const number& x) const {
        Real smallest = x.lane[0].value;
        for (int i = 1; i < lanes_of_thread; ++i) smallest = x.lane[i].value < smallest ? x.lane[i].value : smallest;
        return over_block(static_cast<double>(smallest), [](double a, double b) { return b < a ? b : a; });
    }
    DISTILL_INLINE bool any(const mask& m) const {
        bool found = false;
        for (int i = 0; i < lanes_of_thread; ++i) found = found || m.lane[i];
        return any_of_block(found);
    }

    DISTILL_INLINE void synchronize() const { synchronize_block(); }
    DISTILL_INLINE bool leads() const { return thread_of_block() == 0; }

private:
    DISTILL_INLINE static double sum_of_lanes(const number& x) {
        if constexpr (lanes_of_thread == 4)
            return static_cast<double>((x.lane[0].value + x.lane[1].value) + (x.lane[2].value + x.lane[3].value));
        else
            return static_cast<double>(x.lane[0].value + x.lane[1].value);
    }

    /// The threads' numbers combined, the same bits in every thread: a butterfly in each warp, then the warps in their order.
    template <class Operation>
    DISTILL_INLINE double over_block(double mine, const Operation& combine) const {
        for (int distance = warp_size / 2; distance > 0; distance /= 2)
            mine = combine(mine, from_lane_across(mine, distance));
        if (thread_of_block() % warp_size == 0) of_warps[thread_of_block() / warp_size] = mine;
        synchronize_block();
        double all = of_warps[0];
        for (std::ptrdiff_t warp = 1; warp < threads_of_block() / warp_size; ++warp) all = combine(all, of_warps[warp]);
        synchronize_block();  // before the next call writes
        return all;
    }
};

}  // namespace distill::device
