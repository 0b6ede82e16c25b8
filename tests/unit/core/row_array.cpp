#include <distill/core/row_array.hpp>

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <ranges>
#include <span>
#include <vector>

using distill::row_indices, distill::row_values;

static_assert(std::constructible_from<row_values, const std::vector<float>&>);
static_assert(!std::constructible_from<row_indices, const std::vector<bool>&>);

TEST_CASE("a row array borrows narrow or wide values and reads them as wide") {
    const std::vector<float> narrow{0.5f, -2.0f};
    const std::array<double, 3> wide{1.0, 2.0, 0.1};
    const std::int32_t tokens[] = {7, -100};
    const std::vector<std::int64_t> ids{std::int64_t{1} << 40};

    const row_values a(narrow), b(wide), c(std::span<const double>(wide).subspan(1));
    CHECK(a.size() == 2);
    CHECK(a[1] == -2.0);
    CHECK(a.address() == narrow.data());
    CHECK(a.bytes() == 8);
    CHECK(b[2] == 0.1);
    CHECK(b.bytes() == 24);
    CHECK(c.address() == wide.data() + 1);

    std::vector<float> changing{1.0f, 2.0f};
    CHECK(row_values(changing).address() == changing.data());
    CHECK(row_values(std::span(changing)).address() == changing.data());
    CHECK(row_values(std::views::counted(narrow.begin(), 1)).size() == 1);

    const row_indices d(tokens), e(ids), f(tokens, 1);
    CHECK(d[1] == -100);
    CHECK(d.bytes() == 8);
    CHECK(e[0] == std::int64_t{1} << 40);
    CHECK(f.size() == 1);
    CHECK_FALSE(f.empty());
}

TEST_CASE("a field that was not given is empty, and a length without an address dangles") {
    const row_values nothing;
    CHECK(nothing.empty());
    CHECK_FALSE(nothing.dangling());
    CHECK(nothing.bytes() == 0);
    CHECK(row_values(static_cast<const float*>(nullptr), 3).dangling());
    CHECK(row_indices(static_cast<const std::int64_t*>(nullptr), 3u).dangling());
    CHECK_FALSE(row_values(static_cast<const double*>(nullptr), 0).dangling());
    const std::vector<float> none;
    CHECK(row_values(none).empty());
}
