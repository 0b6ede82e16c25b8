/// Offsets that divide rows into runs: sequences of tokens, groups of rollouts.
#pragma once

#include <distill/core/error.hpp>
#include <distill/core/row_array.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace distill::inline DISTILL_ABI::detail {

/// Run s has the rows [offsets[s], offsets[s + 1]). Reports offsets that do not cover `rows` rows in order; true where they do.
inline bool offsets_cover(std::string_view name, row_indices offsets, std::ptrdiff_t rows) {
    bool covers = offsets.size() >= 1 && offsets[0] == 0 && offsets[offsets.size() - 1] == rows;
    for (std::ptrdiff_t s = 0; covers && s + 1 < offsets.size(); ++s) covers = offsets[s] <= offsets[s + 1];
    if (!covers) report_error({name, " start at 0, never decrease and end at the number of rows, ", rows});
    return covers;
}

}  // namespace distill::inline DISTILL_ABI::detail
