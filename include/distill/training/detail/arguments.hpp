/// What the helpers' arguments have in common: arrays that are there, of one size, and offsets that divide them into runs.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/row_array.hpp>

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>

namespace distill::inline DISTILL_ABI::detail {

/// An argument by the name that its messages have.
struct argument {
    std::string_view name;
    std::ptrdiff_t size;
    bool has_address;

    template <class Narrow, class Wide>
    argument(std::string_view its_name, const row_array<Narrow, Wide>& array)
        : name(its_name), size(array.size()), has_address(array.address() != nullptr) {}
    template <class Element>
    argument(std::string_view its_name, std::span<Element> span)
        : name(its_name), size(static_cast<std::ptrdiff_t>(span.size())), has_address(span.data() != nullptr) {}
};

/// Reports a length without an address, or a negative one; true where there is neither.
inline bool is_given(const argument& a) {
    if (a.size < 0) report_error({a.name, " has ", a.size, " elements"});
    if (a.size > 0 && !a.has_address) report_error({a.name, " has ", a.size, " elements and a null pointer"});
    return a.size == 0 || (a.size > 0 && a.has_address);
}

/// Reports what is not given, or not of `all`'s size; true where everything is.
inline bool are_alike(const argument& all, std::initializer_list<argument> others) {
    if (!is_given(all)) return false;
    for (const argument& a : others) {
        if (!is_given(a)) return false;
        if (a.size == all.size) continue;
        report_error({a.name, " has ", a.size, " elements, ", all.name, " has ", all.size});
        return false;
    }
    return true;
}

/// Run s has the rows [offsets[s], offsets[s + 1]). Reports offsets that do not cover `rows` rows in order; true where they
/// do.
inline bool offsets_cover(std::string_view name, row_indices offsets, std::ptrdiff_t rows) {
    if (!is_given({name, offsets})) return false;
    bool covers = offsets.size() >= 1 && offsets[0] == 0 && offsets[offsets.size() - 1] == rows;
    for (std::ptrdiff_t s = 0; covers && s + 1 < offsets.size(); ++s) covers = offsets[s] <= offsets[s + 1];
    if (!covers) report_error({name, " start at 0, never decrease and end at the number of rows, ", rows});
    return covers;
}

}  // namespace distill::inline DISTILL_ABI::detail
