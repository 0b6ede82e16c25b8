/// Distillation objectives for language models: objective x backend x reduction, composed at compile time.
///
/// Letters, in every header: z, p = softmax(z / T) student; w, q = softmax(w / T) teacher (no gradient flows into it);
/// y token sampled by the student; y* token predicted by the teacher on the student's prefix; row = one token position;
/// V = vocabulary size. forward KL = KL(q || p), mass-covering; reverse KL = KL(p || q), mode-seeking.
///
/// This header is the table of contents. Buffers of other libraries: <distill/interop/...>; other threads than the caller's:
/// <distill/backend/executor/...>.
#pragma once

// The functor and its inputs
#include <distill/loss.hpp>

// Objectives: sums over the vocabulary
#include <distill/divergence/acceptance.hpp>
#include <distill/divergence/acceptance_mix.hpp>
#include <distill/divergence/adaptive_kl.hpp>
#include <distill/divergence/alpha_beta.hpp>
#include <distill/divergence/chi_squared.hpp>
#include <distill/divergence/entropy.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/divergence/renyi.hpp>
#include <distill/divergence/reverse_kl.hpp>
#include <distill/divergence/skew_forward_kl.hpp>
#include <distill/divergence/skew_reverse_kl.hpp>
#include <distill/divergence/squared_hellinger.hpp>
#include <distill/divergence/todi.hpp>
#include <distill/divergence/total_variation.hpp>
#include <distill/divergence/uniform_cross_entropy.hpp>

// Objectives: terms at single tokens
#include <distill/token/among_top_tokens.hpp>
#include <distill/token/centered_log_ratio_advantage.hpp>
#include <distill/token/clipped_importance.hpp>
#include <distill/token/clipped_surrogate.hpp>
#include <distill/token/cross_entropy.hpp>
#include <distill/token/floored_cross_entropy.hpp>
#include <distill/token/kl_estimator.hpp>
#include <distill/token/log_ratio_advantage.hpp>
#include <distill/token/mixture_advantage.hpp>
#include <distill/token/on_top_tokens.hpp>
#include <distill/token/policy_gradient.hpp>
#include <distill/token/power_advantage.hpp>
#include <distill/token/sampled_guidance.hpp>
#include <distill/token/sequence_surrogate.hpp>
#include <distill/token/teacher_guidance.hpp>
#include <distill/token/top_forward_kl.hpp>

// Objectives: terms of the student's normaliser
#include <distill/normalizer/z_loss.hpp>

// Objectives: ready-made sums, your own term as a lambda, and where they hold
#include <distill/composition/abkd.hpp>
#include <distill/composition/distillm.hpp>
#include <distill/composition/floored_reverse_kl.hpp>
#include <distill/composition/gkd.hpp>
#include <distill/composition/hinton.hpp>
#include <distill/composition/kdrl.hpp>
#include <distill/composition/minillm.hpp>
#include <distill/composition/opd.hpp>
#include <distill/composition/smoothed_cross_entropy.hpp>
#include <distill/composition/tgpo.hpp>
#include <distill/composition/vopd.hpp>
#include <distill/objective/term_from.hpp>
#include <distill/objective/where.hpp>

// Backends
#include <distill/backend/eigen.hpp>
#include <distill/backend/reference.hpp>

// Reductions
#include <distill/reduction/normalized_by.hpp>
#include <distill/reduction/sequence_mean.hpp>
#include <distill/reduction/sequence_mean_of_sums.hpp>
#include <distill/reduction/token_mean.hpp>
#include <distill/reduction/token_sum.hpp>

// How far apart student and teacher are
#include <distill/diagnose.hpp>

// Training loop
#include <distill/diagnosis/summarize.hpp>
#include <distill/training/annealing.hpp>
#include <distill/training/clean_top_tokens.hpp>
#include <distill/training/gate.hpp>
#include <distill/training/group_advantages.hpp>
#include <distill/training/padded_batch.hpp>
#include <distill/training/sequence_means.hpp>
#include <distill/training/shape_advantages.hpp>
