/// The vector types that g++ and clang share, and the list of what a processor may have beyond them.
#pragma once

#include <distill/core/config.hpp>

#include <cstdint>
#include <type_traits>

namespace distill::inline DISTILL_ABI::simd {

/// The vector types of a width in lanes.
template <class Float, int Width>
struct vectors {
    using integer = std::conditional_t<sizeof(Float) == 4, std::int32_t, std::int64_t>;
    typedef Float floats __attribute__((vector_size(sizeof(Float) * Width)));
    typedef integer integers __attribute__((vector_size(sizeof(Float) * Width)));
    typedef std::make_unsigned_t<integer> naturals __attribute__((vector_size(sizeof(Float) * Width)));
};

/// Single instructions that compilers make of no vector expression. A processor's header specialises this for the widths of
/// its registers, with any of these static functions; where one is missing, pack.hpp, math.hpp and convert.hpp compute the
/// same with vector expressions.
///
///     broadcast(x, lanes)                  x in every lane
///     raise_to(x, bound, raised)           the larger of x and the bound; NaN where x is NaN
///     clamp_to(a, bound, clamped)          a, its magnitude clamped to that of the bound; of NaN the bound
///     any_greater(a, b)                    true where a lane of a is greater than that of b, as signed integers
///     load_halves(source, x)               from IEEE half, exactly
///     store_halves(destination, x)         to IEEE half, rounded to nearest even
///     look_up(bits, low, high, entries)    the entries of two tables side by side that the last five bits of every lane say
///     scale(x, n, least, scaled)           x 2^floor(n), and exactly 0 where n is below `least`
///
/// Vectors go by reference: what stands between the loop and the function has no target, and could not pass one by value.
/// None of them serves a function that terms call: a term's body is inlined into functions without a target first, and there
/// a call would stay.
template <class Float, int Width>
struct instructions {};

}  // namespace distill::inline DISTILL_ABI::simd
