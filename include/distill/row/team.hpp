/// What the row program needs of whoever works on a row.
#pragma once

#include <distill/core/number.hpp>

#include <array>
#include <concepts>
#include <cstddef>

namespace distill::inline DISTILL_ABI::row {

/// A number of a team: what a term may use, and what the row program's own arithmetic needs beside it (core/scalar.hpp says
/// what each function returns).
template <class T>
concept lane_number = number<T> && requires(const T& a, const T& b, const T& c) {
    { fma(a, b, c) } -> std::same_as<T>;
    { exp2(a) } -> std::same_as<T>;
    { at_least(a, b) } -> std::same_as<T>;
    { clamp_magnitude(a, b) } -> std::same_as<T>;
    { larger_magnitude(a, b) } -> std::same_as<T>;
    { select(is_nan(a), b, c) } -> std::same_as<T>;
    { select(is_finite(a), b, c) } -> std::same_as<T>;
};

/// Bodies of a team's loops, as the concept calls them.
struct body_archetype {
    template <class... Arguments>
    constexpr void operator()(const Arguments&...) const {}
};
template <class Number>
struct numbers_archetype {
    template <class Place>
    constexpr std::array<Number, 2> operator()(const Place&) const {
        return {Number(0.0), Number(0.0)};
    }
};

/// A team is the lanes that share a row: the lanes of a vector register on a CPU, the threads of a warp or of blocks on a
/// GPU. The row program is written once, for any team.
///
/// Types
///     number                        what its lanes compute in, together: a lane_number
///     real                          the floating-point type of one lane
///     tile, place                   entries [tile.begin, tile.end) of the row; one group of lanes in them
///     common<T>                     memory for a T that all threads see: common<T>(team).value
/// Loops
///     outlined(body)                body(), as a function that programs share (row/call_outlined.hpp)
///     for_each_tile(count, body)    body(tile) for consecutive tiles of [0, count)
///     for_each(tile, body)          body(at) for every group of lanes of the tile; `at` is a place, or of a type that can
///                                   be used as one
///     precise_sum<N>(tile, body)    sums of the N numbers that body(at) returns, with more digits than theirs
/// Memory
///     load(row, at), store(row, at, number)    lanes past the end load masked_logit and store nothing
///     prefetch_next_tile(row, at)   a hint that memory and arithmetic may overlap
///     scratch()                     optional: a row of reals, as long as the vocabulary, which nobody else uses during the
///                                   row
/// Lanes
///     active(at, number)            the number, with lanes past the end set to 0
///     indices(at)                   the entries' indices, as a number
///     sum, maximum, minimum, any    over all lanes; the same result for the same row, always
/// Threads
///     synchronize()                 what the team has written is seen by all of it
///     distribute(count, body)       body(i) for every i of [0, count), by one of the team's threads, for the same i the
///                                   same
///     sum_of_threads(x)             the sum of the threads' numbers
///     leads()                       true in one of the threads of the team
template <class T>
concept team = std::copy_constructible<T> && std::floating_point<typename T::real> && lane_number<typename T::number> &&
               requires(const T& t, const typename T::number& x, const typename T::tile& tile, const typename T::place& at,
                        const float* source, float* destination, const body_archetype& body) {
                   typename T::template common<int>;
                   { tile.begin } -> std::convertible_to<std::ptrdiff_t>;
                   { tile.end } -> std::convertible_to<std::ptrdiff_t>;
                   t.outlined(body);
                   t.for_each_tile(std::ptrdiff_t{}, body);
                   t.for_each(tile, body);
                   {
                       t.template precise_sum<2>(tile, numbers_archetype<typename T::number>{})
                   } -> std::same_as<std::array<double, 2>>;
                   { t.load(source, at) } -> std::same_as<typename T::number>;
                   t.store(destination, at, x);
                   t.prefetch_next_tile(source, at);
                   { t.active(at, x) } -> std::same_as<typename T::number>;
                   { t.indices(at) } -> std::same_as<typename T::number>;
                   { t.sum(x) } -> std::same_as<double>;
                   { t.maximum(x) } -> std::same_as<double>;
                   { t.minimum(x) } -> std::same_as<double>;
                   { t.any(x < x) } -> std::same_as<bool>;
                   t.synchronize();
                   t.distribute(std::size_t{}, body);
                   { t.sum_of_threads(double{}) } -> std::same_as<double>;
                   { t.leads() } -> std::same_as<bool>;
               };

}  // namespace distill::inline DISTILL_ABI::row
