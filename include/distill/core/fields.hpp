/// The fields of a batch that a term reads.
#pragma once

#include <distill/core/abi.hpp>

namespace distill::inline DISTILL_ABI {

/// A set of batch fields; combine with |.
enum class fields : unsigned {
    none = 0,
    teacher = 1,                ///< dense teacher logits
    tokens = 2,                 ///< y
    teacher_label = 4,          ///< y*: teacher_tokens, or dense teacher logits whose argmax it is
    labels = 8,                 ///< hard labels
    old_log_probs = 16,         ///< log p(y) at sampling time
    teacher_log_prob = 32,      ///< log q(y): teacher_log_probs, or dense teacher logits that give it
    advantages = 64,            ///< A
    coefficients = 128,         ///< a factor per row: per_row (objective/term.hpp)
    sequence_log_ratios = 256,  ///< mean over the sequence of log p(y) - log p_old(y)
    teacher_top_tokens = 512,   ///< the teacher's most probable tokens and their log-probabilities
};

constexpr fields operator|(fields a, fields b) noexcept {
    return static_cast<fields>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

/// True where `set` holds `field`.
constexpr bool contains(fields set, fields field) noexcept {
    return (static_cast<unsigned>(set) & static_cast<unsigned>(field)) != 0;
}

/// Which token of the row a token term looks at.
enum class token_source {
    sampled,            ///< batch.tokens
    teacher_predicted,  ///< batch.teacher_tokens, or the argmax of the teacher's logits
    label,              ///< batch.labels
    found_in_row,       ///< the term's own: its for_row says which in `std::int64_t found`
};

}  // namespace distill::inline DISTILL_ABI
