/// What the phases of the row program find in a row, or in a part of its vocabulary: plain numbers, which parts exchange and
/// merge. Parts are merged in the order of their entries, in double: whoever merges the same records has the same bits.
#pragma once

#include <distill/core/logits_view.hpp>
#include <distill/row/objective_traits.hpp>
#include <distill/row/pair_scan.hpp>
#include <distill/row/row_statistics.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace distill::inline DISTILL_ABI::row {

/// A logit of another part. Below every logit that is read.
inline constexpr double absent_logit = 2.0 * masked_logit;

/// What the scan finds.
template <class Traits>
struct scan_record {
    static constexpr std::size_t groups = Traits::groups;

    row_statistics<groups> student{}, teacher{};
    double weighted_gap = 0.0, largest_gap = 0.0;            ///< of pair_statistics, where both rows are scanned together
    std::array<double, Traits::token_terms> token_logits{};  ///< the student's at each token term's token
    double teacher_logit = absent_logit;                     ///< the teacher's at the sampled token
};

/// What the sweep over the terms finds.
template <class Traits>
struct sum_record {
    double value = 0.0;
    std::array<double, Traits::groups> dlogp_sum{};
};

template <class Traits>
constexpr sum_record<Traits> merge(const sum_record<Traits>& a, const sum_record<Traits>& b) {
    sum_record<Traits> merged{.value = a.value + b.value};
    for (std::size_t g = 0; g < Traits::groups; ++g) merged.dlogp_sum[g] = a.dlogp_sum[g] + b.dlogp_sum[g];
    return merged;
}

}  // namespace distill::inline DISTILL_ABI::row
