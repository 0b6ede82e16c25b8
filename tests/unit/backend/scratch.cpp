// Memory of each thread's own.
#include <distill/backend/scratch.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <thread>

TEST_CASE("scratch is aligned, as long as asked for, and stays where it is until a longer row comes") {
    const distill::thread_scratch scratch;
    void* const row = scratch(4000);
    CHECK(reinterpret_cast<std::uintptr_t>(row) % 64 == 0);
    std::memset(row, 2, 4000);
    CHECK(scratch(4000) == row);
    CHECK(scratch(1) == row);
    void* const longer = scratch(8000);
    CHECK(reinterpret_cast<std::uintptr_t>(longer) % 64 == 0);
    std::memset(longer, 3, 8000);
    CHECK(scratch(4000) == longer);
}

TEST_CASE("threads have memory of their own") {
    const distill::thread_scratch scratch;
    const void* const here = scratch(400);
    const void* there = here;
    std::thread([&] { there = scratch(400); }).join();
    CHECK(scratch(400) == here);
    CHECK(there != here);
}
