#pragma once

#include <distill/objective/term.hpp>
#include <distill/token/detail/philox.hpp>

#include <cstdint>

namespace distill::inline DISTILL_ABI {

/// Guidance on a token drawn from the teacher:  -log p(y'),  y' ~ q. Its expected gradient is that of forward KL, p - q.
///
/// Summand      -log p(y')
/// Derivative   -1 at y'                       so dL/dz = (p - e_y') / T
/// Domain       dense teacher logits; q at the term's temperature, over the whole vocabulary. The draw depends on the seed
///              and on first_row + row alone: not on threads, nor on how a batch is split where first_row counts the rows
///              before
/// At p = q     not a divergence: value -log p(y'), gradient zero in expectation only
/// Accuracy     y' is exact but where the uniform number falls within rounding of a boundary between two tokens; there
///              instruction sets may differ
/// Source       Teacher-Guided Policy Optimization's public code (arXiv 2605.13230), the Monte-Carlo label
struct sampled_guidance : token_term<sampled_guidance> {
    static constexpr token_source token = token_source::found_in_row;
    static constexpr fields needs = fields::teacher;

    std::uint64_t seed = 0;
    std::int64_t first_row = 0;
    std::int64_t found = 0;  ///< y', set by for_row

    constexpr sampled_guidance() = default;
    constexpr explicit sampled_guidance(std::uint64_t key, std::int64_t rows_before = 0) noexcept
        : seed(key), first_row(rows_before) {}

    template <class Row>
    constexpr sampled_guidance for_row(const Row& row) const {
        sampled_guidance fitted = *this;
        fitted.found =
            row.find(uniform_at(seed, static_cast<std::uint64_t>(first_row + row.index)), [](const auto& e) { return e.q; });
        return fitted;
    }

    template <class T>
    constexpr token_summand<T> operator()(const token_entry<T>& e) const {
        return {.value = -e.log_p, .dlogp = T(-1.0)};
    }
};

}  // namespace distill::inline DISTILL_ABI
