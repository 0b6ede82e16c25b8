/// Row weights of a reduction, found without reading a logit and without an allocation.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/core/config.hpp>
#include <distill/core/reduction.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI::call {

/// The sequence of a row, found by bisection.
constexpr std::ptrdiff_t sequence_of(const row_indices& offsets, std::ptrdiff_t row) {
    std::ptrdiff_t low = 0, high = offsets.size() - 1;
    while (high - low > 1) {
        const std::ptrdiff_t middle = low + (high - low) / 2;
        (offsets[middle] <= row ? low : high) = middle;
    }
    return low;
}

/// The weight of a row in its sequence, of active rows of weight `sequence_weight` together.
template <class Reduction>
constexpr double weight_in_sequence(const Reduction& reduction, double own, double sequence_weight) {
    if (own == 0.0 || sequence_weight == 0.0) return 0.0;
    const double factor = reduction.sequence_factor(sequence_weight);
    if (is_finite(factor)) return own * factor;
    // The inverse of a subnormal weight overflows, the row's share of it does not.
    constexpr double scale = 0x1p100;
    return (own * scale) * reduction.sequence_factor(sequence_weight * scale);
}

/// Weighs the rows of a batch.
template <class Batch, class Reduction>
class row_weigher {
public:
    constexpr row_weigher(const Batch& in, const Reduction& reduction) : in_(in), reduction_(reduction) {}

    /// The row's own weight; 0 where it is masked.
    [[nodiscard]] constexpr double own_weight(std::ptrdiff_t row) const {
        return detail::own_weight(in_.weights, in_.labels, row);
    }

    [[nodiscard]] constexpr row_totals totals() const {
        row_totals totals;
        for (std::ptrdiff_t row = 0; row < in_.student.rows; ++row) {
            totals.weight += own_weight(row);
            totals.active_rows += own_weight(row) != 0.0 ? 1 : 0;
        }
        if constexpr (Reduction::needs_sequences)
            for (std::ptrdiff_t s = 0; s + 1 < in_.sequence_offsets.size(); ++s)
                totals.active_sequences += sequence_weight(s) != 0.0 ? 1 : 0;
        return totals;
    }

    /// Visits rows in ascending order from a first row on and returns each row's weight, before the denominator.
    class cursor {
    public:
        constexpr cursor(const row_weigher& weigher, std::ptrdiff_t first_row) : weigher_(weigher) {
            if constexpr (Reduction::needs_sequences) enter(sequence_of(weigher.in_.sequence_offsets, first_row));
        }

        [[nodiscard]] DISTILL_OUTLINED constexpr double weight(std::ptrdiff_t row) {
            if constexpr (Reduction::needs_sequences)
                while (row >= weigher_.in_.sequence_offsets[sequence_ + 1]) enter(sequence_ + 1);
            const double own = weigher_.own_weight(row);
            if constexpr (Reduction::needs_sequences)
                return is_finite(factor_) ? own * factor_ : weight_in_sequence(weigher_.reduction_, own, sequence_weight_);
            else
                return own;
        }

    private:
        constexpr void enter(std::ptrdiff_t sequence) {
            sequence_ = sequence;
            sequence_weight_ = weigher_.sequence_weight(sequence);
            factor_ = sequence_weight_ == 0.0 ? 0.0 : weigher_.reduction_.sequence_factor(sequence_weight_);
        }

        const row_weigher& weigher_;
        std::ptrdiff_t sequence_ = 0;
        double sequence_weight_ = 0.0, factor_ = 0.0;
    };

private:
    [[nodiscard]] constexpr double sequence_weight(std::ptrdiff_t sequence) const {
        double weight = 0.0;
        for (auto row = in_.sequence_offsets[sequence]; row < in_.sequence_offsets[sequence + 1]; ++row)
            weight += own_weight(static_cast<std::ptrdiff_t>(row));
        return weight;
    }

    const Batch& in_;
    const Reduction& reduction_;
};

}  // namespace distill::inline DISTILL_ABI::call
