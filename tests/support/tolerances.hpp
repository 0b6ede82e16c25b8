// Every tolerance of the tests, in one table. A number here is a promise, or the rounding of a computation that is named.
#pragma once

namespace distill_test::tolerance {

// -ffast-math lets the compiler reorder the sums and differences that keep digits: fp32 bounds are ten times as wide there,
// and what is exactly zero otherwise is zero to rounding.
#if defined(__FAST_MATH__)
inline constexpr double reordering = 10.0;
inline constexpr double zero = 1e-12;
#else
inline constexpr double reordering = 1.0;
inline constexpr double zero = 0.0;
#endif

// Double against double, the same function computed in another order. Deviation as comparisons.hpp defines it.
inline constexpr double rounding = 1e-12;

// A derivative against a five-point difference of step 1e-3: truncation of order step^4 and rounding of order 1e-16 / step.
inline constexpr double finite_difference = 1e-9;

// The difference quotient along the gradient against the squared norm: the second derivative times the step is left over.
inline constexpr double descent = 1e-2;

// Limits: |JSD_b / b - KL| is of order b times the next divergence.
inline constexpr double limit = 1e-4;

// fp32 against double on the same inputs, V = 151 936. The contract, for terms that form differences without cancelling.
inline constexpr double single_loss = 1e-5 * reordering;  // relative, where KL(q || p) is at least `sizeable_divergence`
inline constexpr double single_loss_near_zero = 3e-3 * reordering;  // relative, where it is at least `smallest_divergence`
inline constexpr double sizeable_divergence = 1e-3;
inline constexpr double smallest_divergence = 5e-7;
inline constexpr double single_gradient = 1e-5 * reordering;  // norm of the error over the norm
inline constexpr double single_gradient_near_zero = 3e-3 * reordering;
inline constexpr double single_gradient_sum = 3e-6 * reordering;  // |sum_j dz_j| over sum_j (|dz_j| + p_j + q_j)
// One entry of a gradient, relative to |dz_j| + (p_j + q_j) (1 + |loss|), beyond its one rounding to the storage type.
inline constexpr double single_gradient_entry = 5e-6 * reordering;
// The same of alpha_beta{0.2, 0.7}, which weighs an entry with max(p, q)^0.9: more than p + q where both are small. There the logits
// are rounded to their distance from the row's maximum.
inline constexpr double single_gradient_entry_of_alpha_beta = 5e-5 * reordering;
// Where a gradient jumps at p = q, entries whose log p and log q are nearer than this may be on either side.
inline constexpr double width_of_a_jump = 1e-5;
inline constexpr double single_gradient_with_a_jump = 3e-3 * reordering;  // what they do to the moment, and so to all others

// Golden values: ordinary double results of another implementation, which cancels where the library does not.
inline constexpr double golden_double = 1e-13;
inline constexpr double golden_single = 1e-6 * reordering;
// The same for losses of at least `smallest_divergence`, relative to the loss itself.
inline constexpr double golden_double_relative = 5e-9;
inline constexpr double golden_single_relative = 1e-3 * reordering;

}  // namespace distill_test::tolerance
