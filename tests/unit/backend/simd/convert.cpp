// Conversions of half and bfloat16: every pattern on the way in, every kind of rounding on the way out.
#include <distill/backend/simd/convert.hpp>
#include <distill/backend/simd/dispatch.hpp>
#include <support/random.hpp>
#include <unit/backend/simd/on_every_set.hpp>

#include <Eigen/Core>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

using Eigen::bfloat16, Eigen::half;

namespace {

template <class Element, class Float>
struct loaded {
    const Element* source;
    Float* result;
    std::size_t length;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr int width = Bytes / static_cast<int>(sizeof(Float));
        for (std::size_t i = 0; i < length; i += static_cast<std::size_t>(width)) {
            const auto x = distill::simd::load<Float, width>(source + i);
            std::memcpy(result + i, &x.lanes, sizeof x.lanes);
        }
    }
};
template <class Element, class Float>
struct stored {
    const Float* source;
    Element* result;
    std::size_t length;

    template <int Bytes>
    DISTILL_INLINE void operator()() const {
        constexpr int width = Bytes / static_cast<int>(sizeof(Float));
        for (std::size_t i = 0; i < length; i += static_cast<std::size_t>(width)) {
            distill::simd::pack<Float, width> x;
            std::memcpy(&x.lanes, source + i, sizeof x.lanes);
            distill::simd::store<Float, width>(result + i, x);
        }
    }
};

template <class Element>
constexpr std::uint16_t infinity_bits = std::is_same_v<Element, half> ? 0x7c00u : 0x7f80u;

template <class Element>
bool is_nan(std::uint16_t bits) {
    return (bits & 0x7fffu) > infinity_bits<Element>;
}
bool is_nan(std::uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; }

std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }

template <class Element>
Element from_bits(std::uint16_t bits) {
    Element x;
    std::memcpy(static_cast<void*>(&x), &bits, sizeof bits);
    return x;
}
template <class Element>
std::uint16_t bits_of(const Element& x)
    requires(sizeof(Element) == 2)
{
    std::uint16_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

template <class Element>
std::vector<Element> every_pattern() {
    std::vector<Element> all;
    for (std::uint32_t bits = 0; bits < 65536; ++bits) all.push_back(from_bits<Element>(static_cast<std::uint16_t>(bits)));
    return all;
}

template <class Element>
void check_every_pattern() {
    const auto all = every_pattern<Element>();
    distill_test::on_every_set([&](distill::instruction_set set) {
        std::vector<float> narrow(all.size());
        std::vector<double> wide(all.size());
        distill::simd::dispatch(set, loaded<Element, float>{all.data(), narrow.data(), all.size()});
        distill::simd::dispatch(set, loaded<Element, double>{all.data(), wide.data(), all.size()});
        int wrong = 0, wrong_in_double = 0, wrong_back = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto pattern = static_cast<std::uint16_t>(i);
            if (is_nan<Element>(pattern)) {
                const bool same_sign = (bits_of(narrow[i]) >> 31) == (pattern >> 15);
                wrong += is_nan(bits_of(narrow[i])) && same_sign ? 0 : 1;
                wrong_in_double += is_nan(bits_of(static_cast<float>(wide[i]))) ? 0 : 1;
            } else {
                wrong += bits_of(narrow[i]) == bits_of(static_cast<float>(all[i])) ? 0 : 1;
                wrong_in_double += wide[i] == static_cast<double>(narrow[i]) ? 0 : 1;
            }
        }
        CHECK(wrong == 0);
        CHECK(wrong_in_double == 0);

        std::vector<Element> back(all.size()), back_from_double(all.size());
        distill::simd::dispatch(set, stored<Element, float>{narrow.data(), back.data(), all.size()});
        distill::simd::dispatch(set, stored<Element, double>{wide.data(), back_from_double.data(), all.size()});
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto pattern = static_cast<std::uint16_t>(i);
            const auto same = [&](std::uint16_t found) {
                return is_nan<Element>(pattern) ? is_nan<Element>(found) : found == pattern;
            };
            // On the way through double a processor may take subnormal floats for 0.
            const bool flushed = wide[i] == 0.0 && (bits_of(back_from_double[i]) & 0x7fffu) == 0;
            wrong_back += same(bits_of(back[i])) && (flushed || same(bits_of(back_from_double[i]))) ? 0 : 1;
        }
        CHECK(wrong_back == 0);
    });
}

// The neighbours of every representable number and of every tie, and anything at all.
template <class Element>
std::vector<float> rounding_cases() {
    std::vector<float> cases;
    const auto around = [&](std::uint32_t bits) {
        for (const std::uint32_t offset : {0u, 1u, 0xffffffffu}) cases.push_back(std::bit_cast<float>(bits + offset));
    };
    for (std::uint32_t i = 0; i < 65536; i += 7) {
        const auto pattern = static_cast<std::uint16_t>(i);
        if ((pattern & 0x7fffu) >= infinity_bits<Element>) continue;
        const float x = static_cast<float>(from_bits<Element>(pattern));
        const float next = static_cast<float>(from_bits<Element>(static_cast<std::uint16_t>(pattern + 1)));
        around(bits_of(x));
        if ((pattern & 0x7fffu) + 1 < infinity_bits<Element>)
            around(bits_of(static_cast<float>((static_cast<double>(x) + static_cast<double>(next)) / 2)));
    }
    // Overflow of half, its ends and beyond; infinities and NaN of either sign, quiet and signalling.
    for (const std::uint32_t bits :
         {0x477fe000u, 0x477fefffu, 0x477ff000u, 0x477ff001u, 0x47800000u, 0x7f7f0000u, 0x7f7f7fffu, 0x7f7f8000u,
          0x7f7fffffu, 0x7f800000u, 0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0x00000000u, 0x00000001u, 0x007fffffu,
          0x00800000u, 0x33000000u, 0x33000001u, 0x33800000u, 0x387fffffu, 0x38800000u, 0x387fe000u, 0x387ff000u}) {
        cases.push_back(std::bit_cast<float>(bits));
        cases.push_back(std::bit_cast<float>(bits | 0x80000000u));
    }
    auto random = distill_test::engine("conversions");
    for (int i = 0; i < 40000; ++i) cases.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    while (cases.size() % 16 != 0) cases.push_back(0.0f);
    return cases;
}

template <class Element>
void check_rounding() {
    const auto cases = rounding_cases<Element>();
    distill_test::on_every_set([&](distill::instruction_set set) {
        std::vector<Element> found(cases.size());
        distill::simd::dispatch(set, stored<Element, float>{cases.data(), found.data(), cases.size()});
        int wrong = 0;
        std::uint32_t first_wrong = 0;
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const std::uint32_t bits = bits_of(cases[i]);
            const std::uint16_t result = bits_of(found[i]);
            // Eigen rounds what lies beyond the range to infinity; here a finite value stays finite.
            const std::uint16_t rounded = bits_of(static_cast<Element>(cases[i]));
            const bool overflows = (rounded & 0x7fffu) == infinity_bits<Element> && (bits & 0x7fffffffu) < 0x7f800000u;
            const std::uint16_t expected = overflows ? static_cast<std::uint16_t>(rounded - 1) : rounded;
            const bool good = is_nan(bits) ? is_nan<Element>(result) && (result >> 15) == (bits >> 31) : result == expected;
            if (!good && wrong++ == 0) first_wrong = bits;
        }
        CAPTURE(first_wrong);
        CHECK(wrong == 0);
    });
}

}  // namespace

TEST_CASE("every half and bfloat16 is read exactly, and written back as it was") {
    check_every_pattern<half>();
    check_every_pattern<bfloat16>();
}

TEST_CASE("floats are rounded to the nearest half and bfloat16, ties to even, and stay finite where they were") {
    check_rounding<half>();
    check_rounding<bfloat16>();
}

TEST_CASE("floats and doubles convert to one another as the language does") {
    const std::vector<float> narrow{0.0f, -0.0f, 1.5f, -2.25e-30f, 3e38f, 1e-3f, 7.0f, -8.0f,
                                    0.1f, 0.2f,  0.3f, 0.4f,       0.5f,  0.6f,  0.7f, 0.8f};
    std::vector<double> wide(narrow.size()), exact(narrow.size(), 0.1);
    std::vector<float> back(narrow.size()), rounded(narrow.size());
    distill_test::on_every_set([&](distill::instruction_set set) {
        distill::simd::dispatch(set, loaded<float, double>{narrow.data(), wide.data(), narrow.size()});
        distill::simd::dispatch(set, stored<float, double>{wide.data(), back.data(), narrow.size()});
        distill::simd::dispatch(set, stored<float, double>{exact.data(), rounded.data(), narrow.size()});
        for (std::size_t i = 0; i < narrow.size(); ++i) CHECK(wide[i] == static_cast<double>(narrow[i]));
        CHECK(std::memcmp(back.data(), narrow.data(), narrow.size() * sizeof(float)) == 0);
        CHECK(rounded == std::vector<float>(narrow.size(), 0.1f));
    });
}
