/// How a reduction weighs rows.
#pragma once

#include <distill/core/number.hpp>

#include <concepts>
#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// What is known of the rows before any logit is read. A row is active when its weight is not 0 and its label, where the
/// batch has labels, is not ignored_label.
struct row_totals {
    double weight = 0.0;  ///< sum of the active rows' weights
    std::ptrdiff_t active_rows = 0;
    std::ptrdiff_t active_sequences = 0;  ///< sequences with at least one active row; 0 unless needs_sequences
};

/// A reduction gives every row a weight before any logit is read:
///
///     loss = sum_i  w_i * sequence_factor(W_s) * l_i  /  denominator(totals)
///
/// with w_i the row's own weight, l_i its loss and W_s the sum of the active weights of its sequence. The loss and the
/// gradient then come out of the same traversal. A reduction is a value with three members:
///   static constexpr bool needs_sequences            true where batch.sequence_offsets is required
///   double sequence_factor(double sequence_weight) const    called only where needs_sequences
///   double denominator(const row_totals&) const
/// and optionally `const char* domain_error() const`.
template <class R>
concept reduction = std::copy_constructible<R> && requires(const R& r, double weight, const row_totals& totals) {
    { R::needs_sequences } -> std::convertible_to<bool>;
    { r.sequence_factor(weight) } -> std::convertible_to<double>;
    { r.denominator(totals) } -> std::convertible_to<double>;
};

/// Base of the reductions whose denominator the caller may supply: the global one, when rows are spread over accumulation
/// steps or ranks.
struct optional_denominator {
    double supplied = 1.0;
    bool is_supplied = false;

    constexpr optional_denominator() = default;
    constexpr explicit optional_denominator(double denominator) noexcept : supplied(denominator), is_supplied(true) {}

    [[nodiscard]] constexpr double supplied_or(double otherwise) const noexcept {
        return is_supplied ? supplied : otherwise;
    }
    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(supplied) && supplied > 0.0 ? nullptr : "the denominator is finite and positive";
    }
};

}  // namespace distill::inline DISTILL_ABI
