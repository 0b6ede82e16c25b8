// Tiles, groups of lanes, and tails that touch nothing outside a row.
#include <distill/backend/simd/dispatch.hpp>
#include <distill/backend/simd/team.hpp>
#include <distill/core/number.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <Eigen/Core>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

template <int Bytes, class Real>
using team_of = distill::simd::team<Real, Bytes / static_cast<int>(sizeof(Real))>;

// Copies a row through load and store, and sums it; lanes past the end are masked_logit before and 0 after `active`.
template <class Real, class Element>
struct copy_row {
    const Element* source;
    Element* destination;
    std::ptrdiff_t length;
    double* sum;
    double* lowest;
    double* last_index;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        const team_of<Bytes, Real> team{{}, nullptr};
        using number = typename team_of<Bytes, Real>::number;
        number total(0.0), smallest(0.0), index(0.0);
        team.for_each_tile(length, [&](const auto& tile) DISTILL_INLINE_LAMBDA {
            team.for_each(tile, [&](const auto& at) DISTILL_INLINE_LAMBDA {
                const number x = team.load(source, at);
                smallest = min(smallest, x);
                total = total + team.active(at, x);
                index = max(index, team.active(at, team.indices(at)));
                team.store(destination, at, x);
            });
        });
        *sum = team.sum(total);
        *lowest = team.minimum(smallest);
        *last_index = team.maximum(index);
    }
};

template <class Real, class Element>
void check() {
    constexpr std::ptrdiff_t guard = 64;
    for (const std::ptrdiff_t length : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 1023, 1024, 1025, 2047, 2049, 5000}) {
        CAPTURE(length);
        distill_test::on_every_set([&](distill::instruction_set set) {
            // The row ends where its memory ends; the copy stands between guard bytes.
            std::vector<Element> row;
            double expected = 0.0;
            for (std::ptrdiff_t i = 0; i < length; ++i) {
                row.push_back(static_cast<Element>(static_cast<float>(i % 13) - 2.0f));
                expected += static_cast<double>(static_cast<float>(i % 13) - 2.0f);
            }
            row.shrink_to_fit();
            std::vector<std::uint8_t> memory(static_cast<std::size_t>(length + 2 * guard) * sizeof(Element), 0xa5);
            auto* copy = reinterpret_cast<Element*>(memory.data() + static_cast<std::size_t>(guard) * sizeof(Element));
            double sum = 0.0, lowest = 0.0, last_index = 0.0;
            distill::simd::dispatch(set, copy_row<Real, Element>{row.data(), copy, length, &sum, &lowest, &last_index});

            CHECK(sum == expected);
            CHECK(last_index == static_cast<double>(length - 1));
            CHECK(std::memcmp(copy, row.data(), static_cast<std::size_t>(length) * sizeof(Element)) == 0);
            bool guards_stand = true;
            for (std::size_t i = 0; i < memory.size(); ++i) {
                const std::size_t begin = static_cast<std::size_t>(guard) * sizeof(Element);
                if (i < begin || i >= begin + static_cast<std::size_t>(length) * sizeof(Element))
                    guards_stand = guards_stand && memory[i] == 0xa5;
            }
            CHECK(guards_stand);

            int bytes = 0;
            distill::simd::dispatch(set, distill_test::width_of{&bytes});
            const bool has_tail = length % (2 * bytes / static_cast<int>(sizeof(Real))) != 0;  // of two registers
            CHECK(lowest == (has_tail ? distill::masked_logit : -2.0));
        });
    }
}

}  // namespace

TEST_CASE("a row is covered once, whatever its tail, and nothing beside it is touched") {
    check<float, float>();
    check<float, Eigen::half>();
    check<float, Eigen::bfloat16>();
    check<double, double>();
    check<double, float>();
    check<double, Eigen::half>();
}
