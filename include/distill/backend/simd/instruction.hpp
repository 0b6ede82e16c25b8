/// Single instructions that compilers make of no vector expression.
///
/// Each function has the target of its instruction; it is called from loops whose target includes that one, and inlined into
/// them. Vectors go by reference: what stands between the loop and the function has no target, and could not pass one by value.
/// Not DISTILL_INLINE, which clang refuses across targets: without optimisation it is a call. None of them serves a function
/// that terms call: a term's body is inlined into functions without a target first, and there a call would stay.
///
/// Assembly, since the compilers' own names for instructions change with their versions, and <immintrin.h> takes g++ two fifths of
/// the time that it takes to parse this library.
#pragma once

#include <distill/backend/simd/instruction_set.hpp>

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

/// The loop that works on so many floats at a time has the instructions below.
#if defined(__x86_64__)
template <int Width>
inline constexpr bool has_instructions = Width == 8 || Width == 16;
#else
template <int Width>
inline constexpr bool has_instructions = false;
#endif

/// 16-bit elements in memory.
template <int Width>
struct halfwords_in_memory {
    typedef std::uint16_t type __attribute__((vector_size(2 * Width), aligned(2), may_alias));
};

#if defined(__x86_64__)

/// x in every lane.
DISTILL_TARGET_AVX2 inline void broadcast(float x, vectors<float, 8>::floats& lanes) {
    asm("vbroadcastss {%1, %0|%0, %1}" : "=x"(lanes) : "x"(x));
}
DISTILL_TARGET_AVX512 inline void broadcast(float x, vectors<float, 16>::floats& lanes) {
    asm("vbroadcastss {%1, %0|%0, %1}" : "=v"(lanes) : "v"(x));
}

/// The larger of x and the bound; NaN where x is NaN.
inline void raise_to(const vectors<float, 4>::floats& x, const vectors<float, 4>::floats& bound,
                     vectors<float, 4>::floats& clamped) {
#if defined(__AVX__)
    asm("vmaxps {%1, %2, %0|%0, %2, %1}" : "=x"(clamped) : "x"(x), "x"(bound));
#else
    asm("maxps {%1, %0|%0, %1}" : "=x"(clamped) : "x"(x), "0"(bound));
#endif
}
DISTILL_TARGET_AVX2 inline void raise_to(const vectors<float, 8>::floats& x, const vectors<float, 8>::floats& bound,
                                         vectors<float, 8>::floats& clamped) {
    asm("vmaxps {%1, %2, %0|%0, %2, %1}" : "=x"(clamped) : "x"(x), "x"(bound));
}

/// From IEEE half, exactly.
DISTILL_TARGET_AVX2 inline void load_halves(const void* source, vectors<float, 8>::floats& x) {
    asm("vcvtph2ps {%1, %0|%0, %1}" : "=v"(x) : "m"(*static_cast<const halfwords_in_memory<8>::type*>(source)));
}
DISTILL_TARGET_AVX512 inline void load_halves(const void* source, vectors<float, 16>::floats& x) {
    asm("vcvtph2ps {%1, %0|%0, %1}" : "=v"(x) : "m"(*static_cast<const halfwords_in_memory<16>::type*>(source)));
}

/// To IEEE half, rounded to nearest even.
DISTILL_TARGET_AVX2 inline void store_halves(void* destination, const vectors<float, 8>::floats& x) {
    asm("vcvtps2ph {$0, %1, %0|%0, %1, 0}" : "=m"(*static_cast<halfwords_in_memory<8>::type*>(destination)) : "v"(x));
}
DISTILL_TARGET_AVX512 inline void store_halves(void* destination, const vectors<float, 16>::floats& x) {
    asm("vcvtps2ph {$0, %1, %0|%0, %1, 0}" : "=m"(*static_cast<halfwords_in_memory<16>::type*>(destination)) : "v"(x));
}

/// True where a lane of a is greater than that of b.
DISTILL_TARGET_AVX2 inline bool any_greater(const vectors<float, 8>::integers& a, const vectors<float, 8>::integers& b) {
    [[maybe_unused]] vectors<float, 8>::integers greater;
    bool found;
    asm("vpcmpgtd {%3, %2, %1|%1, %2, %3}\n\tvptest %1, %1" : "=@ccnz"(found), "=&x"(greater) : "x"(a), "x"(b));
    return found;
}
DISTILL_TARGET_AVX512 inline bool any_greater(const vectors<float, 16>::integers& a, const vectors<float, 16>::integers& b) {
    bool found;
    asm("vpcmpgtd {%2, %1, %%k1|k1, %1, %2}\n\tkortestw {%%k1, %%k1|k1, k1}" : "=@ccnz"(found) : "v"(a), "v"(b) : "k1");
    return found;
}

/// The entries of two tables side by side that the last five bits of every lane say.
DISTILL_TARGET_AVX512 inline void look_up(const vectors<float, 16>::floats& bits, const vectors<float, 16>::floats& low,
                                          const vectors<float, 16>::floats& high, vectors<float, 16>::floats& entries) {
    asm("vpermi2ps {%3, %2, %0|%0, %2, %3}" : "=v"(entries) : "0"(bits), "v"(low), "v"(high));
}

/// x 2^floor(n), and exactly 0 where n is below `least`.
DISTILL_TARGET_AVX512 inline void scale(const vectors<float, 16>::floats& x, const vectors<float, 16>::floats& n,
                                        const vectors<float, 16>::floats& least, vectors<float, 16>::floats& scaled) {
    asm("vcmpps {$21, %3, %2, %%k1|k1, %2, %3, 21}\n\tvscalefps {%2, %1, %0%{%%k1%}%{z%}|%0%{k1%}%{z%}, %1, %2}"
        : "=v"(scaled)
        : "v"(x), "v"(n), "v"(least)
        : "k1");
}

/// a, its magnitude clamped to that of the bound; of NaN the bound.
DISTILL_TARGET_AVX512 inline void clamp_to(const vectors<float, 16>::floats& a, const vectors<float, 16>::floats& bound,
                                           vectors<float, 16>::floats& clamped) {
    asm("vrangeps {$2, %2, %1, %0|%0, %1, %2, 2}" : "=v"(clamped) : "v"(a), "v"(bound));
}

#endif

}  // namespace distill::inline DISTILL_ABI::simd
