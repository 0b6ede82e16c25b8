/// Everything one call reads.
#pragma once

#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <cstddef>
#include <cstdint>

namespace distill::inline DISTILL_ABI {

/// The inputs of one call. A row is one token position; row i's logits predict tokens[i], teacher_tokens[i] and labels[i]:
/// nothing is shifted inside. Per-row arrays have one element per row. A field that no term of the objective needs may stay
/// empty; a missing one that a term needs is an error that names the term and the field.
///
/// Student and Teacher are the element types of the logits: float, double, Eigen::half or Eigen::bfloat16.
template <class Student, class Teacher = Student>
struct batch {
    logits_view<const Student> student{};  ///< z, [rows, vocabulary]
    logits_view<const Teacher> teacher{};  ///< w, [rows, vocabulary]; padded widths may differ, the vocabulary may not
    row_values weights{};                  ///< per row, >= 0; 0 masks the row; empty = all 1
    row_indices tokens{};                  ///< y: token sampled by the student
    row_indices teacher_tokens{};          ///< y*: token predicted by the teacher on the student's prefix
    row_indices labels{};                  ///< hard labels; ignored_label masks the row for every objective
    row_values old_log_probs{};            ///< log p(y) when y was sampled
    row_values teacher_log_probs{};        ///< log q(y); where it is empty, dense teacher logits give it
    row_values advantages{};               ///< A, per row
    row_indices sequence_offsets{};        ///< rows of sequence s are [offsets[s], offsets[s + 1])
    row_values temperatures{};   ///< per row, > 0; the loss's temperature, student's and teacher's, is multiplied by it
    row_values coefficients{};   ///< per row; factor of the terms that are marked with per_row
    row_indices top_tokens{};    ///< [rows, k]: k different token ids per row, ignored_label where a row has fewer
    row_values top_log_probs{};  ///< [rows, k]: the teacher's log q of them, over the whole vocabulary
    row_values sequence_log_ratios{};  ///< mean over the row's sequence of log p(y) - log p_old(y)
};

/// The label of a row that has none. It masks the row, whether a term of the objective reads labels or not.
inline constexpr std::int64_t ignored_label = -100;

/// The most tokens of a row that batch.top_tokens may have.
inline constexpr std::ptrdiff_t largest_token_set = 256;

namespace detail {

/// The row's own weight; 0 where it is masked, by its weight or by its label. The one place that says what a mask is.
constexpr double own_weight(const row_values& weights, const row_indices& labels, std::ptrdiff_t row) {
    if (!labels.empty() && labels[row] == ignored_label) return 0.0;
    return weights.empty() ? 1.0 : weights[row];
}

}  // namespace detail

}  // namespace distill::inline DISTILL_ABI
