// Lanes compute as scalars do, on every instruction set.
#include <distill/backend/simd/dispatch.hpp>
#include <distill/backend/simd/math.hpp>
#include <distill/backend/simd/pack.hpp>
#include <distill/core/dual.hpp>
#include <distill/core/scalar.hpp>

#include <unit/backend/simd/on_every_set.hpp>
#include <unit/backend/simd/operations.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

using distill::simd::pack;

static_assert(distill::number<pack<float, 16>>);
static_assert(distill::number<pack<double, 4>>);
static_assert(distill::number<distill::dual<pack<float, 8>>>);

namespace {

using namespace distill_test;

template <class Float>
Float from_wide(double x) {
    std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
    if constexpr (sizeof(Float) == 4) {
        if ((bits & 0x7ff0000000000000u) == 0x7ff0000000000000u)
            return float_of(static_cast<std::uint32_t>(bits >> 32 & 0x80000000u) | 0x7f800000u |
                            ((bits & 0xfffffffffffffu) != 0 ? 0x400000u : 0u));
        return static_cast<float>(x);
    } else {
        return x;
    }
}

template <class Float>
bool both_nan_or_equal(Float a, Float b) {
    distill::scalar<Float> x, y;
    x.value = a;
    y.value = b;
    if (is_nan(x) || is_nan(y)) return is_nan(x) && is_nan(y);
    return a == b;
}

template <class Float>
struct applied {
    int which;
    const Float* a;
    const Float* b;
    Float* result;
    std::size_t length;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr int width = Bytes / static_cast<int>(sizeof(Float));
        for (std::size_t i = 0; i + static_cast<std::size_t>(width) <= length; i += static_cast<std::size_t>(width)) {
            pack<Float, width> x, y;
            std::memcpy(&x.lanes, a + i, sizeof x.lanes);
            std::memcpy(&y.lanes, b + i, sizeof y.lanes);
            const pack<Float, width> z = apply(which, x, y);
            std::memcpy(result + i, &z.lanes, sizeof z.lanes);
        }
    }
};

template <class Float>
void check() {
    std::vector<Float> a, b;
    const auto add_pair = [&](double x, double y) {
        a.push_back(from_wide<Float>(x));
        b.push_back(from_wide<Float>(y));
    };
    for (const double x : ordinary)
        for (const double y : ordinary) add_pair(x, y);
    const std::size_t finite = a.size();
    for (const double x : special)
        for (const double y : ordinary) add_pair(x, y), add_pair(y, x);
    while (a.size() % 16 != 0) add_pair(0.5, 0.5);
    for (int which = 0; which < count; ++which) {
        // Only what is said to look at bits promises anything about NaN and infinity.
        const std::size_t length = which >= bounded_below ? a.size() : finite;
        distill_test::on_every_set([&](distill::instruction_set set) {
            std::vector<Float> found(a.size());
            distill::simd::dispatch(set, applied<Float>{which, a.data(), b.data(), found.data(), a.size()});
            for (std::size_t i = 0; i < length; ++i) {
                distill::scalar<Float> x, y;
                x.value = a[i];
                y.value = b[i];
                if (which == divide && y.value == Float(0)) continue;
                const bool nan = is_nan(x);
                if (which == bounded_below && nan) continue;  // at_least promises -infinity, not NaN
                const Float expected = apply(which, x, y).value;
                // A NaN is held to a bound of either sign; a division may be a product with the reciprocal.
                const Float rounding = 4 * std::numeric_limits<Float>::epsilon();
                const bool same = which == held && nan ? std::abs(found[i]) == Float(2)
                                  : which == divide    ? std::abs(found[i] - expected) <= rounding * std::abs(expected)
                                                       : both_nan_or_equal(found[i], expected);
                CHECK_MESSAGE(same, which << " of " << a[i] << " and " << b[i] << ": " << found[i]);
            }
        });
    }
}

}  // namespace

TEST_CASE("every lane of a pack computes what a scalar does") {
    check<float>();
    check<double>();
}

TEST_CASE("sums, extremes and any go over all lanes") {
    pack<float, 16> a;
    for (int i = 0; i < 16; ++i) a.lanes[i] = static_cast<float>((i * 7) % 16) - 4.0f;
    CHECK(horizontal_sum(a) == 56.0);
    CHECK(horizontal_max(a) == 11.0);
    CHECK(horizontal_min(a) == -4.0);
    for (int lane = 0; lane < 16; ++lane) {
        pack<float, 16> one(0.0);
        one.lanes[lane] = 1.0f;
        CHECK(any(one > pack<float, 16>(0.5)));
        CHECK(horizontal_max(one) == 1.0);
        CHECK(horizontal_min(-one) == -1.0);
        CHECK_FALSE(any(one > pack<float, 16>(1.5)));
    }
    // The sum is in double: float would lose the small ones.
    pack<float, 4> mixed(1.0);
    mixed.lanes[0] = 1e9f;
    CHECK(horizontal_sum(mixed) == 1000000003.0);
}

TEST_CASE("a function of one lane is mapped over all") {
    pack<double, 4> a;
    for (int i = 0; i < 4; ++i) a.lanes[i] = i;
    const auto squares = map(a, [](double x) { return x * x; });
    for (int i = 0; i < 4; ++i) CHECK(squares.lanes[i] == i * i);
}

TEST_CASE("dispatch runs the widest instruction set that is supported and allowed") {
    std::vector<int> widths;
    distill_test::on_every_set([&](distill::instruction_set set) {
        int bytes = 0;
        distill::simd::dispatch(set, distill_test::width_of{&bytes});
        widths.push_back(bytes);
    });
    CHECK(widths.front() == distill::simd::baseline_bytes);
#if defined(DISTILL_BASELINE_ONLY)
    for (const int width : widths) CHECK(width == distill::simd::baseline_bytes);
#else
    for (std::size_t i = 1; i < widths.size(); ++i) CHECK(widths[i] == (i == 1 ? 32 : 64));
#endif
    int bytes = 0;
    distill::simd::dispatch(distill::instruction_set::avx512, distill_test::width_of{&bytes});
    CHECK(bytes == widths.back());
}
