/// What a team shares out among its threads, for teams of one thread.
#pragma once

#include <distill/core/config.hpp>
#include <distill/row/call_outlined.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI::row {

/// Memory for a T of a thread's own.
template <class T>
struct own_memory {
    mutable T value;
    template <class Team>
    DISTILL_INLINE constexpr explicit own_memory(const Team&) {}
};

/// A base of teams whose lanes belong to one thread (row/team.hpp).
struct single_thread {
    template <class T>
    using common = own_memory<T>;

    template <class Body>
    constexpr void outlined(const Body& body) const {
        call_outlined(body);
    }
    template <class Body>
    DISTILL_INLINE constexpr void distribute(std::size_t count, const Body& body) const {
        for (std::size_t i = 0; i < count; ++i) body(i);
    }
    DISTILL_INLINE constexpr double sum_of_threads(double x) const { return x; }
    DISTILL_INLINE constexpr void synchronize() const {}
    DISTILL_INLINE constexpr bool leads() const { return true; }
};

}  // namespace distill::inline DISTILL_ABI::row
