// A pack_pair computes what its packs do, on every instruction set.
#include <distill/backend/simd/pack_pair.hpp>
#include <distill/core/dual.hpp>
#include <distill/core/number.hpp>
#include <support/random.hpp>
#include <unit/backend/simd/on_every_set.hpp>
#include <unit/backend/simd/operations.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

using distill::simd::pack;
using distill::simd::pack_pair;

static_assert(distill::number<pack_pair<pack<float, 16>>>);
static_assert(distill::number<pack_pair<pack<double, 2>>>);
static_assert(distill::number<distill::dual<pack_pair<pack<float, 8>>>>);

namespace {

// The functions of one number, after the operations of two.
enum function {
    exponential = distill_test::count,
    power_of_two,
    exponential_less_1,
    logarithm,
    logarithm_of_1_more,
    root,
    in_order,
    end
};

template <class Number>
DISTILL_INLINE Number call(int which, const Number& a, const Number& b) {
    switch (which) {
        case exponential:
            return exp(a);
        case power_of_two:
            return exp2(a);
        case exponential_less_1:
            return expm1(a);
        case logarithm:
            return log(abs(a));
        case logarithm_of_1_more:
            return log1p(abs(a));
        case root:
            return sqrt(abs(a));
        case in_order:
            return fence(a);
        default:
            return distill_test::apply(which, a, b);
    }
}

// The lanes of a pack_pair and of its packs, one after the other.
template <class Float>
struct both_ways {
    int which;
    const Float* a;
    const Float* b;
    std::vector<Float>* of_twin;
    std::vector<Float>* of_packs;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr int width = Bytes / static_cast<int>(sizeof(Float));
        using half = pack<Float, width>;
        const auto first_of = [](const Float* x)
                                  DISTILL_INLINE_LAMBDA { return distill::simd::load_lanes<Float, width>(x); };
        const half a1 = first_of(a), a2 = first_of(a + width), b1 = first_of(b), b2 = first_of(b + width);
        const auto together = call(which, pack_pair<half>(a1, a2), pack_pair<half>(b1, b2));
        write(*of_twin, together.first), write(*of_twin, together.second);
        write(*of_packs, call(which, a1, b1)), write(*of_packs, call(which, a2, b2));
    }

    template <class Pack>
    static DISTILL_INLINE void write(std::vector<Float>& lanes, const Pack& x) {
        lanes.resize(lanes.size() + sizeof x.lanes / sizeof(Float));
        std::memcpy(lanes.data() + lanes.size() - sizeof x.lanes / sizeof(Float), &x.lanes, sizeof x.lanes);
    }
};

template <class Float>
void check() {
    auto random = distill_test::engine("pack_pair");
    std::vector<Float> a, b;
    for (int i = 0; i < 32; ++i) {
        a.push_back(static_cast<Float>(distill_test::normal(random, 1, 2.0)[0]));
        b.push_back(static_cast<Float>(distill_test::normal(random, 1, 2.0)[0]));
    }
    for (int which = 0; which < end; ++which)
        distill_test::on_every_set([&](distill::instruction_set set) {
            CAPTURE(which);
            std::vector<Float> of_twin, of_packs;
            distill::simd::dispatch(set, both_ways<Float>{which, a.data(), b.data(), &of_twin, &of_packs});
            CHECK(of_twin.size() == of_packs.size());
            CHECK(std::memcmp(of_twin.data(), of_packs.data(), of_twin.size() * sizeof(Float)) == 0);
        });
}

}  // namespace

TEST_CASE("each half of a pack_pair has the bits of a pack") {
    check<float>();
    check<double>();
}

TEST_CASE("a pack_pair made of one number has it in every lane") {
    for (const double x : {0.0, -1.5, 3e7}) {
        for (const auto& t : {pack_pair<pack<double, 2>>(x), pack_pair<pack<double, 2>>::row_constant(x)})
            for (int i = 0; i < 2; ++i) CHECK((t.first.lanes[i] == x && t.second.lanes[i] == x));
    }
}
