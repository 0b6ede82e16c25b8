// The instruction sets that this machine supports.
#pragma once

#include <distill/backend/simd/dispatch.hpp>

#include <doctest/doctest.h>

namespace distill_test {

// Calls test(instruction_set) for each.
template <class Test>
void on_every_set(const Test& test) {
    using distill::instruction_set;
    for (const instruction_set set : {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512}) {
        if (set > distill::simd::widest_supported()) continue;
        const int number = static_cast<int>(set);
        INFO("instruction set " << number);
        test(set);
    }
}

// A loop that says which width it was compiled for.
struct width_of {
    int* bytes;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        *bytes = Bytes;
    }
};

}  // namespace distill_test
