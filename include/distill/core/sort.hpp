/// Sorting under a name of the library's own.
#pragma once

#include <distill/core/abi.hpp>

#include <algorithm>
#include <span>

namespace distill::inline DISTILL_ABI::detail {

/// The order of operator<. The standard library's functions that are made for it are made for it alone: those for numbers
/// and std::less have one name for all translation units, whatever their flags (core/abi.hpp).
struct ascending {
    template <class T>
    constexpr bool operator()(const T& a, const T& b) const {
        return a < b;
    }
};

/// As a heap: std::sort and std::nth_element count the bits of a length in a function that has no comparison in its name.
template <class T>
void sort(std::span<T> values) {
    std::make_heap(values.begin(), values.end(), ascending{});
    std::sort_heap(values.begin(), values.end(), ascending{});
}

}  // namespace distill::inline DISTILL_ABI::detail
