/// Everything one call reads.
#pragma once

#include <distill/core/fields.hpp>
#include <distill/core/logits_view.hpp>
#include <distill/core/row_array.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace distill::inline DISTILL_ABI {

/// The inputs of one call. A row is one token position; row i's logits predict tokens[i], teacher_tokens[i] and labels[i]:
/// nothing is shifted inside. Per-row arrays have one element per row. A field that no term of the objective needs may stay
/// empty; a missing one that a term needs is an error that names the term and the field.
///
/// Student and Teacher are the element types of the logits: float, double, or a 16-bit type (core/storage_format.hpp).
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

/// How many numbers a field of a batch has.
enum class field_length {
    rows,       ///< one per row
    tokens,     ///< k per row
    sequences,  ///< one more than there are sequences
};

/// A field of a batch beside its logits.
struct batch_field {
    std::string_view name;
    field_length length;
    fields reads = fields::none;         ///< what a term that reads it says in `needs`
    bool teacher_logits_do_too = false;  ///< dense teacher logits give it where it is empty
};

/// The table of those fields: visit(batch_field, the field of each batch...) for every one of them. A new field is a member
/// of batch and a line here; validation, overlaps and what a term needs follow.
template <class Visit, class... Batches>
constexpr void for_each_field(const Visit& visit, Batches&... in) {
    using enum field_length;
    visit(batch_field{"batch.weights", rows}, in.weights...);
    visit(batch_field{"batch.tokens", rows, fields::tokens}, in.tokens...);
    visit(batch_field{"batch.teacher_tokens", rows, fields::teacher_label, true}, in.teacher_tokens...);
    visit(batch_field{"batch.labels", rows, fields::labels}, in.labels...);
    visit(batch_field{"batch.old_log_probs", rows, fields::old_log_probs}, in.old_log_probs...);
    visit(batch_field{"batch.teacher_log_probs", rows, fields::teacher_log_prob, true}, in.teacher_log_probs...);
    visit(batch_field{"batch.advantages", rows, fields::advantages}, in.advantages...);
    visit(batch_field{"batch.sequence_offsets", sequences}, in.sequence_offsets...);
    visit(batch_field{"batch.temperatures", rows}, in.temperatures...);
    visit(batch_field{"batch.coefficients", rows, fields::coefficients}, in.coefficients...);
    visit(batch_field{"batch.top_tokens", tokens, fields::teacher_top_tokens}, in.top_tokens...);
    visit(batch_field{"batch.top_log_probs", tokens, fields::teacher_top_tokens}, in.top_log_probs...);
    visit(batch_field{"batch.sequence_log_ratios", rows, fields::sequence_log_ratios}, in.sequence_log_ratios...);
}

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
