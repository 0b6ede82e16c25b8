/// What rows add up to, and the blocks in which they are added.
#pragma once

#include <distill/core/config.hpp>
#include <distill/core/number.hpp>
#include <distill/core/reduction.hpp>
#include <distill/core/result.hpp>
#include <distill/row/range.hpp>
#include <distill/row/token_terms.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI::call {

/// Totals over some rows; blocks of rows add up in their order.
struct row_sums {
    double weighted_loss = 0.0;  ///< in units of unit_of_weights
    std::ptrdiff_t nonfinite_rows = 0;
    std::ptrdiff_t clipped_rows = 0;
    std::ptrdiff_t guarded_rows = 0;

    friend constexpr row_sums operator+(const row_sums& a, const row_sums& b) {
        return {a.weighted_loss + b.weighted_loss, a.nonfinite_rows + b.nonfinite_rows, a.clipped_rows + b.clipped_rows,
                a.guarded_rows + b.guarded_rows};
    }
};

/// What weights and denominator are divided by before losses are summed: a power of two, so that no bit changes; 1 but where
/// the sum might leave the range of double although the mean does not.
constexpr double unit_of_weights(double denominator) { return row::unit_beyond(denominator, 0x1p-500, 0x1p500); }

/// A row's part of the totals, of a given weight before the denominator. Not inlined: no compiler fuses the product with the
/// sum that follows, so losses that were kept and are summed later have the same bits.
DISTILL_OUTLINED constexpr row_sums sums_of_row(const row::row_outcome& outcome, double weight, double denominator) {
    if (!outcome.finite) return {.nonfinite_rows = 1};
    return {weight / unit_of_weights(denominator) * outcome.loss, 0, outcome.clipped ? 1 : 0, outcome.guarded ? 1 : 0};
}

/// The result of a call.
constexpr loss_result result_of(const row_sums& sums, const row_totals& rows, double denominator) {
    return {.value = sums.nonfinite_rows > 0 ? quiet_nan()
                     : rows.active_rows == 0 ? 0.0
                                             : sums.weighted_loss / (denominator / unit_of_weights(denominator)),
            .denominator = denominator,
            .active_rows = rows.active_rows,
            .nonfinite_rows = sums.nonfinite_rows,
            .clipped_rows = sums.clipped_rows,
            .guarded_rows = sums.guarded_rows};
}

/// Rows are worked on in at most this many blocks, whose bounds depend on the number of rows alone: any number of threads
/// adds up the same sums in the same order.
inline constexpr std::ptrdiff_t max_blocks = 256;

struct row_blocks {
    std::ptrdiff_t rows;

    [[nodiscard]] constexpr std::ptrdiff_t rows_per_block() const { return (rows + max_blocks - 1) / max_blocks; }
    [[nodiscard]] constexpr std::ptrdiff_t count() const {
        return rows == 0 ? 0 : (rows + rows_per_block() - 1) / rows_per_block();
    }
    [[nodiscard]] constexpr std::ptrdiff_t begin(std::ptrdiff_t block) const { return block * rows_per_block(); }
    [[nodiscard]] constexpr std::ptrdiff_t end(std::ptrdiff_t block) const {
        return begin(block) + rows_per_block() < rows ? begin(block) + rows_per_block() : rows;
    }
};

}  // namespace distill::inline DISTILL_ABI::call
