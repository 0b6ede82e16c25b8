/// What is known of one row beside its loss.
#pragma once

#include <distill/core/abi.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace distill::inline DISTILL_ABI {

enum class row_state {
    masked,     ///< of weight 0 or label -100: not read
    nonfinite,  ///< holds NaN, +infinity or nothing but -infinity
    diagnosed,
};

/// Divergences and entropies in nats. Everything but the state is NaN, 0 or -1 unless the row is diagnosed.
struct row_diagnosis {
    /// The sizes of the sets of most probable tokens in which masses and overlaps are counted.
    static constexpr std::array<std::ptrdiff_t, 7> mass_sizes{1, 5, 10, 20, 50, 100, 1000};
    static constexpr std::array<std::ptrdiff_t, 3> overlap_sizes{1, 5, 10};

    row_state state = row_state::masked;
    double forward_kl = 0.0;       ///< KL(q || p)
    double reverse_kl = 0.0;       ///< KL(p || q)
    double jensen_shannon = 0.0;   ///< with the teacher's weight 1/2
    double total_variation = 0.0;  ///< half the sum of |p - q|
    double student_entropy = 0.0;
    double teacher_entropy = 0.0;
    std::int64_t student_top = -1;         ///< argmax p, the lowest id on ties
    std::int64_t teacher_top = -1;         ///< y* = argmax q, the lowest id on ties
    double teacher_top_log_p = 0.0;        ///< log p(y*)
    bool has_token = false;                ///< the batch has a sampled token y for this row
    std::int64_t token = -1;               ///< y
    double token_log_p = 0.0;              ///< log p(y)
    double token_log_q = 0.0;              ///< log q(y)
    std::array<double, 3> top_overlap{};   ///< share of the teacher's k most probable tokens that are among the student's k
    std::array<double, 7> teacher_mass{};  ///< q of the teacher's k most probable tokens together
};

}  // namespace distill::inline DISTILL_ABI
