// One row of scratch per thread and type.
#include <distill/backend/simd/scratch.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <thread>

using distill::simd::scratch_row;

TEST_CASE("scratch is aligned, as long as asked for, and stays where it is until a longer row comes") {
    float* const row = scratch_row<float>(1000);
    CHECK(reinterpret_cast<std::uintptr_t>(row) % 64 == 0);
    std::fill_n(row, 1000, 2.0f);
    CHECK(scratch_row<float>(1000) == row);
    CHECK(scratch_row<float>(1) == row);
    float* const longer = scratch_row<float>(2000);
    CHECK(reinterpret_cast<std::uintptr_t>(longer) % 64 == 0);
    std::fill_n(longer, 2000, 3.0f);
    CHECK(scratch_row<float>(1000) == longer);
}

TEST_CASE("threads and types have rows of their own") {
    const void* const here = scratch_row<float>(100);
    CHECK(static_cast<const void*>(scratch_row<double>(100)) != here);
    const void* there = here;
    std::thread([&] { there = scratch_row<float>(100); }).join();
    CHECK(scratch_row<float>(100) == here);
    CHECK(there != here);
}
