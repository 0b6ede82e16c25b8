/// The largest entries of a row, in order.
#pragma once

#include <distill/core/sort.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace distill::inline DISTILL_ABI::detail {

struct ranked_entry {
    double value;
    std::int64_t index;

    /// Larger values first, lower indices first among equals.
    friend bool operator<(const ranked_entry& a, const ranked_entry& b) {
        return a.value != b.value ? a.value > b.value : a.index < b.index;
    }
};

/// The `k` largest entries of row[0, count), the lowest indices on ties, sorted; fewer where the row is shorter. They stand
/// at the beginning of `buffer`, which holds at least 2 k. One read of the row: an entry is compared again only where it is
/// larger than the k-th largest so far, as of the last time the buffer was full.
template <class Element>
std::span<ranked_entry> top_entries(const Element* row, std::ptrdiff_t count, std::size_t k,
                                    std::span<ranked_entry> buffer) {
    std::size_t held = 0;
    const auto keep_best = [&] {
        if (held <= k) return;
        std::partial_sort(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(k),
                          buffer.begin() + static_cast<std::ptrdiff_t>(held), ascending{});
        held = k;
    };
    bool full = false;
    double threshold = 0.0;
    for (std::ptrdiff_t v = 0; v < count; ++v) {
        const auto value = static_cast<double>(row[v]);
        if (full && !(value > threshold)) continue;
        if (held == buffer.size()) {
            keep_best();
            threshold = buffer[k - 1].value;
            full = true;
            if (!(value > threshold)) continue;
        }
        buffer[held++] = {value, v};
    }
    keep_best();
    sort(buffer.first(held));
    return buffer.first(held);
}

}  // namespace distill::inline DISTILL_ABI::detail
