// Overlap of memory regions, against a byte-by-byte computation. Messages: conformance/errors.cpp.
#include <distill/check/validate.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <set>
#include <vector>

using distill::detail::overlap, distill::detail::region, distill::detail::region_of;

namespace {

bool share_a_byte(const region& a, const region& b) {
    std::set<std::uintptr_t> bytes;
    for (std::size_t r = 0; r < a.rows; ++r)
        for (std::size_t i = 0; i < a.row_bytes; ++i) bytes.insert(a.address + r * a.stride_bytes + i);
    for (std::size_t r = 0; r < b.rows; ++r)
        for (std::size_t i = 0; i < b.row_bytes; ++i)
            if (bytes.contains(b.address + r * b.stride_bytes + i)) return true;
    return false;
}

}  // namespace

TEST_CASE("regions of equal stride overlap exactly where they share a byte") {
    auto random = distill_test::engine("overlap");
    const auto any = [&](std::size_t low, std::size_t high) {
        return std::uniform_int_distribution<std::size_t>(low, high)(random);
    };
    int overlapping = 0;
    for (int repetition = 0; repetition < 3000; ++repetition) {
        const std::size_t stride = any(1, 12);
        const region a{100 + any(0, 30), any(1, 4), any(1, stride), stride};
        const region b{100 + any(0, 30), any(1, 4), any(1, stride), stride};
        // Rows that end before the other begins share nothing; between them the period decides.
        const bool expected = share_a_byte(a, b);
        overlapping += expected ? 1 : 0;
        if (a.rows > 1 && b.rows > 1) CHECK(overlap(a, b) >= expected);
        CHECK((!expected || overlap(a, b)));
        CHECK(overlap(a, b) == overlap(b, a));
    }
    CHECK(overlapping > 500);
    CHECK(overlapping < 2500);
}

TEST_CASE("no shared byte is ever missed, whatever the strides") {
    auto random = distill_test::engine("overlap of other strides");
    const auto any = [&](std::size_t low, std::size_t high) {
        return std::uniform_int_distribution<std::size_t>(low, high)(random);
    };
    for (int repetition = 0; repetition < 3000; ++repetition) {
        const std::size_t first = any(1, 12), second = any(1, 12);
        const region a{100 + any(0, 60), any(1, 4), any(1, first), first};
        const region b{100 + any(0, 60), any(1, 4), any(1, second), second};
        if (share_a_byte(a, b)) CHECK(overlap(a, b));
        if (a.end() <= b.address || b.end() <= a.address) CHECK_FALSE(overlap(a, b));
    }
}

TEST_CASE("columns of one matrix do not overlap, neighbours that touch do not either") {
    const auto columns = [](std::uintptr_t offset, std::size_t width) { return region{1000 + offset, 5, width, 100}; };
    CHECK_FALSE(overlap(columns(0, 40), columns(40, 60)));
    CHECK_FALSE(overlap(columns(40, 60), columns(0, 40)));
    CHECK(overlap(columns(0, 41), columns(40, 60)));
    CHECK(overlap(columns(40, 60), columns(60, 1)));
    CHECK(overlap(columns(0, 40), columns(70, 40)));
    CHECK(overlap(columns(0, 40), columns(0, 40)));
    CHECK_FALSE(overlap(columns(0, 40), columns(500, 40)));
    CHECK(overlap(columns(0, 40), columns(200, 40)));
}

TEST_CASE("an empty region overlaps nothing") {
    const region some{100, 2, 8, 8};
    CHECK_FALSE(overlap(some, region{100, 0, 8, 8}));
    CHECK_FALSE(overlap(region{}, some));
    CHECK_FALSE(overlap(some, region_of(distill::row_values{})));
    CHECK_FALSE(overlap(some, region_of(distill::logits_view<float>{})));
}

TEST_CASE("a view's region is what is read or written of it, with the padding where that is written") {
    std::vector<float> memory(40);
    const distill::logits_view<float> view(memory.data(), 4, 7, 10);
    const region tight = region_of(view), padded = region_of(view, true);
    CHECK(tight.address == reinterpret_cast<std::uintptr_t>(memory.data()));
    CHECK(tight.rows == 4);
    CHECK(tight.row_bytes == 28);
    CHECK(tight.stride_bytes == 40);
    CHECK(tight.end() == tight.address + 3 * 40 + 28);
    CHECK(padded.row_bytes == 40);
    CHECK(padded.end() == padded.address + 160);

    const std::vector<double> values(5);
    const region array = region_of(distill::row_values(values));
    CHECK(array.rows == 1);
    CHECK(array.row_bytes == 40);
}
