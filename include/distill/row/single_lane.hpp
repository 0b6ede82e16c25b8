/// A team of one lane in double: exact, slow and plain. The reference backend runs on it, and so does a row whose gradient
/// needs more digits than float has.
#pragma once

#include <distill/core/scalar.hpp>
#include <distill/row/element.hpp>
#include <distill/row/single_thread.hpp>

#include <array>
#include <cstddef>

namespace distill::inline DISTILL_ABI::row {

struct single_lane : single_thread {
    using number = scalar<double>;
    using real = double;

    struct tile {
        std::ptrdiff_t begin, end;
    };
    using place = std::ptrdiff_t;

    template <class Body>
    constexpr void for_each_tile(std::ptrdiff_t count, const Body& body) const {
        constexpr std::ptrdiff_t length = 1024;
        for (std::ptrdiff_t begin = 0; begin < count; begin += length)
            body(tile{begin, begin + length < count ? begin + length : count});
    }
    template <class Body>
    constexpr void for_each(const tile& t, const Body& body) const {
        for (std::ptrdiff_t at = t.begin; at < t.end; ++at) body(at);
    }
    template <std::size_t Count, class Body>
    constexpr std::array<double, Count> precise_sum(const tile& t, const Body& body) const {
        std::array<double, Count> sums{};
        for_each(t, [&](std::ptrdiff_t at) {
            const auto summands = body(at);
            for (std::size_t i = 0; i < Count; ++i) sums[i] += summands[i].value;
        });
        return sums;
    }
    template <class Element>
    constexpr number load(const Element* row, place at) const {
        return static_cast<double>(row[at]);
    }
    template <class Element>
    constexpr void prefetch_next_tile(const Element*, place) const {}
    template <class Element>
    constexpr void store(Element* row, place at, number x) const {
        row[at] = to_element<Element>(x.value);
    }
    constexpr number active(place, number x) const { return x; }
    constexpr number indices(place at) const { return static_cast<double>(at); }
    constexpr double sum(number x) const { return x.value; }
    constexpr double maximum(number x) const { return x.value; }
    constexpr double minimum(number x) const { return x.value; }
    constexpr bool any(bool mask) const { return mask; }
};

}  // namespace distill::inline DISTILL_ABI::row
