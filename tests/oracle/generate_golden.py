#!/usr/bin/env python3
"""Writes golden.json: losses and gradients of every objective, from PyTorch in float64 with automatic differentiation.

    python3 generate_golden.py [--output golden.json]

An objective is one function of one row (section "Objectives"), written as its paper or the usual trainers define it.
A reduction is one function of the row losses. A case is one entry of CASES. Inputs are drawn from a stream seeded by
(SEED, case name), so adding, removing or reordering cases changes no other case. Every number a case takes as input is
rounded to float32 first; the arithmetic is float64 throughout.

The written file is read back and compared with closed_forms.py, which differentiates by hand in 50-digit decimals.
"""

import argparse
import json
import math
import random
import struct
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Callable, Optional, Sequence

import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
import closed_forms  # noqa: E402

SEED = 20260513
IGNORED = -100
GUARD = 20.0
NEGATIVE_INFINITY = float("-inf")


def f32(x):
    """x rounded to float32, as a Python float."""
    return struct.unpack("f", struct.pack("f", x))[0]


# ---------------------------------------------------------------------------------------------------------------------
# Objectives: one row in, one scalar out
# ---------------------------------------------------------------------------------------------------------------------

@dataclass
class Row:
    """One token position. z is part of the differentiated tensor; everything else is a constant."""
    z: torch.Tensor
    w: Optional[torch.Tensor]
    student_temperature: float
    teacher_temperature: float
    parameter: dict
    label: Optional[int]
    token: Optional[int]
    teacher_token: Optional[int]
    old_log_prob: Optional[float]
    advantage: Optional[float]

    @property
    def log_p(self):
        return F.log_softmax(self.z / self.student_temperature, dim=-1)

    @property
    def log_q(self):
        return F.log_softmax(self.w / self.teacher_temperature, dim=-1)


def kl(log_a, log_b):
    """KL(a || b) = sum_v a_v (log a_v - log b_v); entries with a_v = 0 contribute 0."""
    support = log_a > NEGATIVE_INFINITY
    return F.kl_div(log_b[support], log_a[support], reduction="sum", log_target=True)


def forward_kl(row):
    return kl(row.log_q, row.log_p)


def reverse_kl(row):
    return kl(row.log_p, row.log_q)


def jensen_shannon(row):
    """GKD's generalised JSD with the mixture in log space, as in TRL's GKDTrainer."""
    b = row.parameter["teacher_weight"]
    log_p, log_q = row.log_p, row.log_q
    support = (log_p > NEGATIVE_INFINITY) | (log_q > NEGATIVE_INFINITY)
    log_p, log_q = log_p[support], log_q[support]
    log_m = torch.logsumexp(torch.stack([log_p + math.log1p(-b), log_q + math.log(b)]), dim=0)
    return b * kl(log_q, log_m) + (1 - b) * kl(log_p, log_m)


def skew(log_own, log_other, share):
    """KL(own || share own + (1 - share) other), with the mixture in log space."""
    support = log_own > NEGATIVE_INFINITY
    own, other = log_own[support], log_other[support]
    return kl(own, torch.logsumexp(torch.stack([own + math.log(share), other + math.log1p(-share)]), dim=0))


def skew_forward_kl(row):
    """DistiLLM's skew KL: the teacher against its mixture with the student."""
    return skew(row.log_q, row.log_p, row.parameter["share"])


def skew_reverse_kl(row):
    """DistiLLM's skew reverse KL: the student against its mixture with the teacher."""
    return skew(row.log_p, row.log_q, row.parameter["share"])


def chi_squared(row):
    support = row.log_q > NEGATIVE_INFINITY
    p, q = torch.exp(row.log_p[support]), torch.exp(row.log_q[support])
    return ((p - q) ** 2 / q).sum()


def alpha_beta(row):
    """ABKD's divergence, and its limits where an exponent is 0."""
    a, b = row.parameter["alpha"], row.parameter["beta"]
    support = (row.log_p > NEGATIVE_INFINITY) & (row.log_q > NEGATIVE_INFINITY)
    log_p, log_q = row.log_p[support], row.log_q[support]
    if a == 0 and b == 0:
        return 0.5 * ((log_p - log_q) ** 2).sum()
    if a == 0:
        return (torch.exp(b * log_p) * (log_p - log_q) / b - (torch.exp(b * log_p) - torch.exp(b * log_q)) / b**2).sum()
    if b == 0:
        return (torch.exp(a * log_q) * (log_q - log_p) / a - (torch.exp(a * log_q) - torch.exp(a * log_p)) / a**2).sum()
    both = torch.exp(a * log_q + b * log_p)
    own = a / (a + b) * torch.exp((a + b) * log_q) + b / (a + b) * torch.exp((a + b) * log_p)
    return -(both - own).sum() / (a * b)


def total_variation(row):
    p = F.softmax(row.z / row.student_temperature, dim=-1)
    q = F.softmax(row.w / row.teacher_temperature, dim=-1)
    return 0.5 * F.l1_loss(p, q, reduction="sum")


def squared_hellinger(row):
    """exp(log p / 2) is sqrt(p) with a finite derivative at p = 0."""
    return 0.5 * F.mse_loss(torch.exp(row.log_p / 2), torch.exp(row.log_q / 2), reduction="sum")


def entropy(row):
    return torch.distributions.Categorical(logits=row.z / row.student_temperature).entropy()


def cross_entropy(row):
    return F.cross_entropy((row.z / row.student_temperature).unsqueeze(0), torch.tensor([row.label]))


def teacher_guidance(row):
    """-log p(y*); y* is supplied, or the lowest id among the largest teacher logits."""
    y = row.teacher_token
    if y is None:
        y = int((row.w == row.w.max()).nonzero()[0])
    return F.cross_entropy((row.z / row.student_temperature).unsqueeze(0), torch.tensor([y]))


def policy_gradient(row):
    return -row.advantage * row.log_p[row.token]


def clipped_surrogate(row):
    """PPO's clip with explicit ratio bounds, the optional dual clip, and the log-ratio clamp that verl applies."""
    advantage = torch.tensor(row.advantage, dtype=torch.float64)
    ratio = torch.exp(torch.clamp(row.log_p[row.token] - row.old_log_prob, -GUARD, GUARD))
    clipped = torch.clamp(ratio, row.parameter["lower"], row.parameter["upper"])
    loss = torch.maximum(-advantage * ratio, -advantage * clipped)
    if "dual_clip" in row.parameter and row.advantage < 0:
        loss = torch.minimum(loss, -advantage * row.parameter["dual_clip"])
    return loss


def tgpo(row):
    return clipped_surrogate(row) + row.parameter["coefficient"] * teacher_guidance(row)


def forward_reverse_jensen(row):
    weight = row.parameter
    return (weight["forward_kl"] * forward_kl(row) + weight["reverse_kl"] * reverse_kl(row)
            + weight["jensen_shannon"] * jensen_shannon(row))


def hinton(row):
    """Hard cross-entropy at the case's temperature (1) and T^2 KL(q || p) at the temperature in the parameters."""
    t = row.parameter["temperature"]
    soft = F.kl_div(F.log_softmax(row.z / t, dim=-1), F.softmax(row.w / t, dim=-1), reduction="sum")
    return row.parameter["hard"] * cross_entropy(row) + row.parameter["soft"] * t * t * soft


# What each objective reads beside the student's logits.
OBJECTIVES: dict[str, tuple[Callable, set]] = {
    "forward_kl": (forward_kl, {"teacher"}),
    "reverse_kl": (reverse_kl, {"teacher"}),
    "jensen_shannon": (jensen_shannon, {"teacher"}),
    "skew_forward_kl": (skew_forward_kl, {"teacher"}),
    "skew_reverse_kl": (skew_reverse_kl, {"teacher"}),
    "chi_squared": (chi_squared, {"teacher"}),
    "alpha_beta": (alpha_beta, {"teacher"}),
    "total_variation": (total_variation, {"teacher"}),
    "squared_hellinger": (squared_hellinger, {"teacher"}),
    "entropy": (entropy, set()),
    "cross_entropy": (cross_entropy, {"labels"}),
    "teacher_guidance": (teacher_guidance, {"teacher_tokens"}),
    "policy_gradient": (policy_gradient, {"tokens", "advantages"}),
    "clipped_surrogate": (clipped_surrogate, {"tokens", "advantages", "old_log_probs"}),
    "tgpo": (tgpo, {"tokens", "advantages", "old_log_probs", "teacher_tokens"}),
    "forward_reverse_jensen": (forward_reverse_jensen, {"teacher"}),
    "hinton": (hinton, {"teacher", "labels"}),
}


# ---------------------------------------------------------------------------------------------------------------------
# Reductions: row losses l, row weights w (0 = masked), sequence offsets o, caller's denominator d or None
# ---------------------------------------------------------------------------------------------------------------------

def sequences(l, w, o):
    """(losses, weights) of every sequence that has an active row."""
    return [(l[a:b], w[a:b]) for a, b in zip(o, o[1:]) if w[a:b].sum() > 0]


def token_mean(l, w, o, d):
    return (w * l).sum() / (w.sum() if d is None else d)


def token_sum(l, w, o, d):
    return (w * l).sum() / (1 if d is None else d)


def sequence_mean(l, w, o, d):
    means = torch.stack([(wl * ll).sum() / wl.sum() for ll, wl in sequences(l, w, o)])
    return means.mean() if d is None else means.sum() / d


def sequence_mean_of_sums(l, w, o, d):
    sums = torch.stack([(wl * ll).sum() for ll, wl in sequences(l, w, o)])
    return sums.mean() if d is None else sums.sum() / d


def normalized_by(l, w, o, d):
    return (w * l).sum() / d


REDUCTIONS = {f.__name__: f for f in (token_mean, token_sum, sequence_mean, sequence_mean_of_sums, normalized_by)}


# ---------------------------------------------------------------------------------------------------------------------
# Logits: (random stream, vocabulary) -> student row, teacher row
# ---------------------------------------------------------------------------------------------------------------------

def log_sum_exp(x):
    top = max(x)
    return top + math.log(sum(math.exp(v - top) for v in x))


def independent(student_scale=2.0, teacher_scale=2.0):
    def draw(rng, vocabulary):
        return ([rng.gauss(0, student_scale) for _ in range(vocabulary)],
                [rng.gauss(0, teacher_scale) for _ in range(vocabulary)])
    return draw


def nearly_equal(noise=1e-3):
    def draw(rng, vocabulary):
        z = [rng.gauss(0, 2.0) for _ in range(vocabulary)]
        return z, [x + rng.gauss(0, noise) for x in z]
    return draw


def large_gap(student_probability=1e-6, teacher_probability=0.9):
    """The teacher prefers a token that the student practically never produces."""
    def draw(rng, vocabulary):
        z, w = independent()(rng, vocabulary)
        a = rng.randrange(vocabulary)
        for x, probability in ((z, student_probability), (w, teacher_probability)):
            rest = log_sum_exp(x[:a] + x[a + 1:])
            x[a] = rest + math.log(probability / (1 - probability))
        return z, w
    return draw


def confident(gap=30.0):
    """The student's first choice leads every other entry by at least the gap."""
    def draw(rng, vocabulary):
        z, w = independent()(rng, vocabulary)
        a = rng.randrange(vocabulary)
        z[a] = max(z[:a] + z[a + 1:]) + gap
        return z, w
    return draw


def tied():
    """Three equal largest teacher logits."""
    def draw(rng, vocabulary):
        z, w = independent()(rng, vocabulary)
        top = max(w) + 1.0
        for v in rng.sample(range(vocabulary), 3):
            w[v] = top
        return z, w
    return draw


def masked(student=0.0, teacher=0.0, both=0.0):
    """Each entry is -inf in the student only, in the teacher only, or in both, with these probabilities."""
    def draw(rng, vocabulary):
        z, w = independent()(rng, vocabulary)
        kept = rng.randrange(vocabulary)
        for v in range(vocabulary):
            u = rng.random()
            if v != kept and u < student + teacher + both:
                if u < student or u >= student + teacher:
                    z[v] = NEGATIVE_INFINITY
                if u >= student:
                    w[v] = NEGATIVE_INFINITY
        return z, w
    return draw


# ---------------------------------------------------------------------------------------------------------------------
# Cases
# ---------------------------------------------------------------------------------------------------------------------

@dataclass
class Case:
    name: str
    objective: str
    parameters: dict = field(default_factory=dict)
    temperature: tuple = (1.0, 1.0)                  # student, teacher
    reduction: str = "token_mean"
    denominator: Optional[float] = None
    rows: int = 4
    vocabulary: Optional[int] = None                 # None: drawn from VOCABULARIES
    logits: Callable = field(default_factory=independent)
    weights: Optional[Sequence[float]] = None
    offsets: Optional[Sequence[int]] = None
    ignored: Sequence[int] = ()                      # rows whose label is -100
    ratios: Sequence[float] = (0.9, 1.1, 1.5, 0.6)   # wanted p_y / p_old, repeated over the rows
    signs: Sequence[int] = (1, -1)                   # wanted sign of the advantage, repeated over the rows
    argmax: bool = False                             # y* comes from dense teacher logits, not from teacher_tokens
    guide: Optional[str] = None                      # "best": teacher_tokens are the argmax of logits not in the file


VOCABULARIES = (7, 8, 13, 16, 17, 31, 32, 33, 61)    # below, at and above common vector widths
BINARY = (1, 0, 1, 1, 0, 1)
FRACTIONAL = (0.5, 0, 2, 1.25, 0.1, 0.75)
SPLIT = (0, 2, 3, 6)
FIRST_SEQUENCE_MASKED = (0, 0, 1.5, 0.25, 0, 1)
CLIP = {"lower": 0.8, "upper": 1.2}
CLIP_HIGHER = {"lower": 0.8, "upper": 1.28}
DUAL = {**CLIP, "dual_clip": 3.0}
TGPO = {**CLIP, "coefficient": 2e-3}
STRONG = {**CLIP_HIGHER, "coefficient": 0.5}
EVERY_BRANCH = {"rows": 6, "ratios": (0.5, 1.05, 1.5, 0.5, 0.93, 1.6), "signs": (1, 1, 1, -1, -1, -1)}
BEYOND_GUARD = {"rows": 8, "ratios": [math.exp(x) for x in (22, -22, 22, -22, 25, 19, -18.5, 0.05)],
                "signs": (1, 1, -1, -1, -1, -1, 1, -1)}

# For every reduction: the plain form, and the form with the caller's denominator.
REDUCTION_CASES = [
    ("token_mean_weighted", {"weights": FRACTIONAL}),
    ("token_mean_denominator", {"weights": FRACTIONAL, "denominator": 37.0}),
    ("token_sum", {"reduction": "token_sum", "weights": FRACTIONAL}),
    ("token_sum_denominator", {"reduction": "token_sum", "weights": BINARY, "denominator": 6.5}),
    ("sequence_mean", {"reduction": "sequence_mean", "weights": FRACTIONAL, "offsets": SPLIT}),
    ("sequence_mean_denominator",
     {"reduction": "sequence_mean", "weights": FIRST_SEQUENCE_MASKED, "offsets": SPLIT, "denominator": 8.0}),
    ("sequence_mean_of_sums",
     {"reduction": "sequence_mean_of_sums", "weights": FIRST_SEQUENCE_MASKED, "offsets": SPLIT}),
    ("sequence_mean_of_sums_denominator",
     {"reduction": "sequence_mean_of_sums", "weights": BINARY, "offsets": SPLIT, "denominator": 8.0}),
    ("normalized_by", {"reduction": "normalized_by", "weights": FRACTIONAL, "denominator": 4096.0}),
]

CASES = [
    Case("forward_kl", "forward_kl"),
    Case("forward_kl_temperature_2", "forward_kl", temperature=(2, 2)),
    Case("forward_kl_temperature_0_7", "forward_kl", temperature=(0.7, 0.7), vocabulary=31),
    Case("forward_kl_separate_temperatures", "forward_kl", temperature=(2, 0.7)),
    Case("forward_kl_nearly_equal", "forward_kl", logits=nearly_equal(), vocabulary=61),
    Case("forward_kl_large_gap", "forward_kl", logits=large_gap()),
    Case("forward_kl_masked_vocabulary_teacher", "forward_kl", logits=masked(teacher=0.3)),
    Case("forward_kl_masked_vocabulary_both", "forward_kl", temperature=(2, 2), logits=masked(teacher=0.2, both=0.3)),
    Case("forward_kl_confident_student", "forward_kl", logits=confident()),
    Case("forward_kl_vocabulary_1", "forward_kl", vocabulary=1),
    Case("forward_kl_vocabulary_2", "forward_kl", vocabulary=2, temperature=(0.7, 2)),
    Case("forward_kl_vocabulary_257", "forward_kl", vocabulary=257, rows=3),
    Case("forward_kl_masked_rows", "forward_kl", rows=6, weights=BINARY),
    Case("forward_kl_no_active_row", "forward_kl", rows=3, vocabulary=7, weights=(0, 0, 0)),
    *[Case(f"forward_kl_{name}", "forward_kl", rows=6, **settings) for name, settings in REDUCTION_CASES],
    Case("forward_kl_sequence_mean_one_sequence_masked", "forward_kl", rows=6, reduction="sequence_mean",
         weights=FIRST_SEQUENCE_MASKED, offsets=SPLIT),

    Case("reverse_kl", "reverse_kl"),
    Case("reverse_kl_temperature_2", "reverse_kl", temperature=(2, 2)),
    Case("reverse_kl_separate_temperatures", "reverse_kl", temperature=(0.7, 2)),
    Case("reverse_kl_nearly_equal", "reverse_kl", logits=nearly_equal(), vocabulary=61),
    Case("reverse_kl_large_gap", "reverse_kl", logits=large_gap()),
    Case("reverse_kl_masked_vocabulary_both", "reverse_kl", logits=masked(both=0.3)),
    Case("reverse_kl_masked_vocabulary_student", "reverse_kl", logits=masked(student=0.2, both=0.2)),
    Case("reverse_kl_confident_student", "reverse_kl", logits=confident()),
    Case("reverse_kl_weighted", "reverse_kl", rows=6, weights=FRACTIONAL, temperature=(0.7, 0.7)),

    Case("jensen_shannon_0_1", "jensen_shannon", {"teacher_weight": 0.1}),
    Case("jensen_shannon_0_5", "jensen_shannon", {"teacher_weight": 0.5}),
    Case("jensen_shannon_0_9", "jensen_shannon", {"teacher_weight": 0.9}),
    Case("jensen_shannon_temperature_2", "jensen_shannon", {"teacher_weight": 0.5}, temperature=(2, 2)),
    Case("jensen_shannon_separate_temperatures", "jensen_shannon", {"teacher_weight": 0.1}, temperature=(0.7, 2)),
    Case("jensen_shannon_nearly_equal", "jensen_shannon", {"teacher_weight": 0.5}, logits=nearly_equal()),
    Case("jensen_shannon_large_gap", "jensen_shannon", {"teacher_weight": 0.9}, logits=large_gap()),
    Case("jensen_shannon_masked_vocabulary_each_side", "jensen_shannon", {"teacher_weight": 0.5},
         logits=masked(student=0.2, teacher=0.2, both=0.2)),
    Case("jensen_shannon_confident_student", "jensen_shannon", {"teacher_weight": 0.5}, logits=confident()),

    *[case for name in ("skew_forward_kl", "skew_reverse_kl") for case in (
        Case(name, name, {"share": 0.1}),
        Case(f"{name}_0_75", name, {"share": 0.75}),
        Case(f"{name}_separate_temperatures", name, {"share": 0.1}, temperature=(0.7, 2)),
        Case(f"{name}_nearly_equal", name, {"share": 0.1}, logits=nearly_equal()),
        Case(f"{name}_large_gap", name, {"share": 0.1}, logits=large_gap()),
        Case(f"{name}_masked_vocabulary_each_side", name, {"share": 0.5},
             logits=masked(student=0.2, teacher=0.2, both=0.2)),
        Case(f"{name}_weighted", name, {"share": 0.25}, rows=6, weights=FRACTIONAL, temperature=(2, 2)))],

    Case("chi_squared", "chi_squared", logits=independent(1.0, 1.0)),
    Case("chi_squared_temperature_2", "chi_squared", temperature=(2, 2), rows=6, weights=BINARY),
    Case("chi_squared_nearly_equal", "chi_squared", logits=nearly_equal()),
    Case("chi_squared_masked_vocabulary_student", "chi_squared", temperature=(2, 2),
         logits=masked(student=0.2, both=0.2)),

    Case("alpha_beta", "alpha_beta", {"alpha": 0.2, "beta": 0.7}),
    Case("alpha_beta_half_half", "alpha_beta", {"alpha": 0.5, "beta": 0.5}, temperature=(2, 2)),
    Case("alpha_beta_separate_temperatures", "alpha_beta", {"alpha": 1.5, "beta": 0.25}, temperature=(0.7, 2)),
    Case("alpha_beta_forward", "alpha_beta", {"alpha": 0.5, "beta": 0.0}, rows=6, weights=FRACTIONAL),
    Case("alpha_beta_reverse", "alpha_beta", {"alpha": 0.0, "beta": 0.75}),
    Case("alpha_beta_zero", "alpha_beta", {"alpha": 0.0, "beta": 0.0}),
    Case("alpha_beta_nearly_equal", "alpha_beta", {"alpha": 0.2, "beta": 0.7}, logits=nearly_equal()),
    Case("alpha_beta_large_gap", "alpha_beta", {"alpha": 0.2, "beta": 0.7}, logits=large_gap()),
    Case("alpha_beta_masked_vocabulary_both", "alpha_beta", {"alpha": 0.2, "beta": 0.7}, logits=masked(both=0.3)),
    Case("alpha_beta_zero_masked_vocabulary_both", "alpha_beta", {"alpha": 0.0, "beta": 0.0}, logits=masked(both=0.3)),

    Case("total_variation", "total_variation"),
    Case("total_variation_temperature_2", "total_variation", temperature=(2, 2), rows=6, weights=FRACTIONAL),
    Case("total_variation_nearly_equal", "total_variation", logits=nearly_equal()),
    Case("total_variation_masked_vocabulary_each_side", "total_variation",
         logits=masked(student=0.2, teacher=0.2, both=0.2)),

    Case("squared_hellinger", "squared_hellinger"),
    Case("squared_hellinger_temperature_0_7", "squared_hellinger", temperature=(0.7, 0.7), rows=6, weights=BINARY),
    Case("squared_hellinger_nearly_equal", "squared_hellinger", logits=nearly_equal()),
    Case("squared_hellinger_large_gap", "squared_hellinger", logits=large_gap()),
    Case("squared_hellinger_masked_vocabulary_each_side", "squared_hellinger",
         logits=masked(student=0.2, teacher=0.2, both=0.2)),

    Case("entropy", "entropy"),
    Case("entropy_temperature_2", "entropy", temperature=(2, 2), rows=6, weights=FRACTIONAL),
    Case("entropy_masked_vocabulary", "entropy", logits=masked(student=0.4)),
    Case("entropy_confident_student", "entropy", logits=confident()),

    Case("cross_entropy", "cross_entropy"),
    Case("cross_entropy_temperature_2", "cross_entropy", temperature=(2, 2)),
    Case("cross_entropy_ignored_labels", "cross_entropy", rows=6, ignored=(1, 4)),
    Case("cross_entropy_ignored_labels_sequence_mean", "cross_entropy", rows=6, ignored=(0, 1, 3),
         weights=(1, 0.5, 0.25, 2, 0, 1), reduction="sequence_mean", offsets=SPLIT),
    Case("cross_entropy_confident_student", "cross_entropy", logits=confident()),

    Case("teacher_guidance", "teacher_guidance"),
    Case("teacher_guidance_temperature_0_7", "teacher_guidance", temperature=(0.7, 0.7), rows=6, weights=BINARY),
    Case("teacher_guidance_large_gap", "teacher_guidance", logits=large_gap(), guide="best"),
    Case("teacher_guidance_argmax", "teacher_guidance", argmax=True, temperature=(2, 0.7)),
    Case("teacher_guidance_argmax_ties", "teacher_guidance", argmax=True, rows=6, logits=tied()),
    Case("teacher_guidance_argmax_masked_vocabulary", "teacher_guidance", argmax=True,
         logits=masked(teacher=0.2, both=0.3)),

    Case("policy_gradient", "policy_gradient"),
    Case("policy_gradient_temperature_2", "policy_gradient", temperature=(2, 2), rows=6, weights=FRACTIONAL,
         reduction="sequence_mean", offsets=SPLIT),

    Case("clipped_surrogate_every_branch", "clipped_surrogate", CLIP, **EVERY_BRANCH),
    Case("clipped_surrogate_clip_higher_temperature_0_7", "clipped_surrogate", CLIP_HIGHER, temperature=(0.7, 0.7),
         **{**EVERY_BRANCH, "ratios": (0.5, 1.24, 1.5, 0.5, 0.93, 1.24)}),
    Case("clipped_surrogate_dual_clip", "clipped_surrogate", DUAL, rows=6, ratios=(5, 5, 2, 0.5, 1.1, 4),
         signs=(-1, 1, -1, -1, -1, 1)),
    Case("clipped_surrogate_beyond_guard", "clipped_surrogate", CLIP, **BEYOND_GUARD),
    Case("clipped_surrogate_beyond_guard_dual_clip", "clipped_surrogate", DUAL, **BEYOND_GUARD),
    Case("clipped_surrogate_vocabulary_1", "clipped_surrogate", CLIP, rows=3, vocabulary=1, ratios=(1.1, 1.5, 1.6),
         signs=(1, 1, -1)),

    Case("tgpo_every_branch", "tgpo", TGPO, **EVERY_BRANCH),
    Case("tgpo_temperature_0_7", "tgpo", STRONG, temperature=(0.7, 0.7), vocabulary=31),
    Case("tgpo_dual_clip", "tgpo", {**DUAL, "coefficient": 0.02}, rows=6, ratios=(5, 5, 2, 0.5, 1.1, 4),
         signs=(-1, 1, -1, -1, -1, 1)),
    Case("tgpo_beyond_guard", "tgpo", {**DUAL, "coefficient": 2e-3}, **BEYOND_GUARD),
    Case("tgpo_large_gap", "tgpo", STRONG, logits=large_gap(), guide="best"),
    Case("tgpo_argmax", "tgpo", STRONG, temperature=(2, 2), argmax=True, logits=masked(both=0.3)),
    *[Case(f"tgpo_{name}", "tgpo", STRONG, **{**EVERY_BRANCH, **settings}) for name, settings in REDUCTION_CASES],

    Case("forward_reverse_jensen", "forward_reverse_jensen",
         {"forward_kl": 0.7, "reverse_kl": 0.3, "jensen_shannon": 2.0, "teacher_weight": 0.9}),
    Case("forward_reverse_jensen_temperature_2", "forward_reverse_jensen", temperature=(2, 2), rows=6,
         weights=FRACTIONAL,
         parameters={"forward_kl": 0.25, "reverse_kl": 1.5, "jensen_shannon": 0.5, "teacher_weight": 0.1}),
    Case("forward_reverse_jensen_masked_vocabulary_both", "forward_reverse_jensen", logits=masked(both=0.3),
         temperature=(0.7, 2),
         parameters={"forward_kl": 1.0, "reverse_kl": 1.0, "jensen_shannon": 1.0, "teacher_weight": 0.5}),

    Case("hinton_temperature_2", "hinton", {"temperature": 2.0, "hard": 0.5, "soft": 0.5}),
    Case("hinton_temperature_4_ignored_labels", "hinton", {"temperature": 4.0, "hard": 0.1, "soft": 0.9}, rows=6,
         ignored=(0, 3), weights=FRACTIONAL),
    Case("hinton_temperature_1", "hinton", {"temperature": 1.0, "hard": 0.3, "soft": 0.7}),
]


# ---------------------------------------------------------------------------------------------------------------------
# From a case to its inputs
# ---------------------------------------------------------------------------------------------------------------------

def pick_token(rng, z, log_p, log_ratio, temperature):
    """A token y with log p_y < log_ratio, so that log p_old = log p_y - log_ratio < 0; z_y is lowered if none is."""
    suited = [v for v, x in enumerate(log_p) if NEGATIVE_INFINITY < x < log_ratio - 0.05]
    if suited:
        return rng.choice(suited)
    if len(z) == 1:
        return 0
    y = rng.choice([v for v, x in enumerate(z) if x > NEGATIVE_INFINITY])
    rest = log_sum_exp([x / temperature for v, x in enumerate(z) if v != y])
    z[y] = f32(temperature * (rest + log_ratio - 2))
    return y


def draw_inputs(case, attempt):
    rng = random.Random(f"{SEED}/{case.name}/{attempt}")
    needs = OBJECTIVES[case.objective][1]
    temperature = [f32(t) for t in case.temperature]
    vocabulary = case.vocabulary or rng.choice(VOCABULARIES)
    student, teacher = [], []
    columns = {key: [] for key in ("tokens", "teacher_tokens", "labels", "old_log_probs", "advantages")}
    for i in range(case.rows):
        z, w = case.logits(rng, vocabulary)
        if i in case.ignored or (case.weights is not None and case.weights[i] == 0):
            # A masked row holds numbers that would show in every result they reached.
            z, w = ([rng.gauss(0, 1000) for _ in z] for _ in range(2))
        z, w = [f32(x) for x in z], [f32(x) for x in w]
        log_ratio = math.log(case.ratios[i % len(case.ratios)])
        log_p = [x / temperature[0] for x in z]
        log_p = [x - log_sum_exp(log_p) for x in log_p]
        possible = [v for v, x in enumerate(z) if x > NEGATIVE_INFINITY]
        y = pick_token(rng, z, log_p, log_ratio, temperature[0]) if "old_log_probs" in needs else rng.choice(possible)
        log_p_y = z[y] / temperature[0] - log_sum_exp([x / temperature[0] for x in z])
        columns["tokens"].append(y)
        columns["old_log_probs"].append(f32(log_p_y - log_ratio))
        columns["advantages"].append(f32(case.signs[i % len(case.signs)] * rng.uniform(0.25, 2)))
        columns["labels"].append(IGNORED if i in case.ignored else rng.choice(possible))
        columns["teacher_tokens"].append(w.index(max(w)) if case.guide == "best" else rng.choice(possible))
        student += z
        teacher += w

    def column(key):
        return columns[key] if key in needs and not (key == "teacher_tokens" and case.argmax) else None

    return {
        "name": case.name,
        "objective": case.objective,
        "parameters": {k: f32(v) for k, v in case.parameters.items()},
        "temperature": {"student": temperature[0], "teacher": temperature[1]},
        "reduction": case.reduction,
        "denominator": None if case.denominator is None else f32(case.denominator),
        "rows": case.rows,
        "vocabulary": vocabulary,
        "student": student,
        "teacher": teacher if "teacher" in needs or case.argmax else None,
        "weights": None if case.weights is None else [f32(x) for x in case.weights],
        "tokens": column("tokens"),
        "teacher_tokens": column("teacher_tokens"),
        "labels": column("labels"),
        "old_log_probs": column("old_log_probs"),
        "teacher_log_probs": None,
        "advantages": column("advantages"),
        "sequence_offsets": None if case.offsets is None else list(case.offsets),
    }


def active_weights(inputs):
    weights = inputs["weights"] or [1.0] * inputs["rows"]
    labels = inputs["labels"] or [0] * inputs["rows"]
    return [0.0 if label == IGNORED else w for w, label in zip(weights, labels)]


def rows_of(inputs, z):
    """Row objects of the active rows, by index; z is the tensor to differentiate."""
    w = None
    if inputs["teacher"] is not None:
        w = torch.tensor(inputs["teacher"], dtype=torch.float64).view(inputs["rows"], inputs["vocabulary"])

    def at(key, i):
        return inputs[key][i] if inputs[key] is not None else None

    return {i: Row(z=z[i], w=None if w is None else w[i],
                   student_temperature=inputs["temperature"]["student"],
                   teacher_temperature=inputs["temperature"]["teacher"],
                   parameter=inputs["parameters"], label=at("labels", i), token=at("tokens", i),
                   teacher_token=at("teacher_tokens", i), old_log_prob=at("old_log_probs", i),
                   advantage=at("advantages", i))
            for i, weight in enumerate(active_weights(inputs)) if weight > 0}


def student_tensor(inputs):
    return torch.tensor(inputs["student"], dtype=torch.float64).view(inputs["rows"], inputs["vocabulary"])


def near_a_kink(inputs):
    """Whether float32 arithmetic could take another branch than float64 arithmetic."""
    parameter = inputs["parameters"]
    for row in rows_of(inputs, student_tensor(inputs)).values():
        if "lower" in parameter:
            log_ratio = float(row.log_p[row.token]) - row.old_log_prob
            bounds = [math.log(parameter[k]) for k in ("lower", "upper", "dual_clip") if k in parameter]
            if min(abs(log_ratio - x) for x in [*bounds, GUARD, -GUARD]) < 1e-2 or row.advantage == 0:
                return True
        if inputs["objective"] == "total_variation":
            both = (row.log_p > NEGATIVE_INFINITY) & (row.log_q > NEGATIVE_INFINITY)
            if float((row.log_p - row.log_q)[both].abs().min()) < 2e-5:
                return True
    return False


# ---------------------------------------------------------------------------------------------------------------------
# From inputs to golden values
# ---------------------------------------------------------------------------------------------------------------------

def evaluate(case):
    inputs = next(x for x in (draw_inputs(case, attempt) for attempt in range(1000)) if not near_a_kink(x))
    objective = OBJECTIVES[case.objective][0]
    z = student_tensor(inputs).requires_grad_()
    w = torch.tensor(active_weights(inputs), dtype=torch.float64)
    rows = rows_of(inputs, z)
    zero = torch.zeros((), dtype=torch.float64)

    def per_row(f):
        return torch.stack([f(rows[i]).reshape(()) if i in rows else zero for i in range(case.rows)])

    def reduce(losses):
        return REDUCTIONS[case.reduction](losses, w, inputs["sequence_offsets"], inputs["denominator"])

    if not rows:
        row_losses, loss, gradient = torch.zeros(case.rows), zero, torch.zeros_like(z)
    else:
        row_losses = per_row(objective)
        loss = reduce(row_losses)
        gradient, = torch.autograd.grad(loss, z)
        if case.objective == "tgpo":    # the published form: two losses, each reduced with the same denominator
            parts = (reduce(per_row(clipped_surrogate))
                     + inputs["parameters"]["coefficient"] * reduce(per_row(teacher_guidance)))
            assert abs(float(parts - loss)) <= 1e-14 * max(1.0, abs(float(loss))), case.name
    assert torch.isfinite(loss) and torch.isfinite(row_losses).all() and torch.isfinite(gradient).all(), case.name
    return {**inputs, "loss": float(loss), "row_losses": row_losses.tolist(), "gradient": gradient.reshape(-1).tolist()}


# ---------------------------------------------------------------------------------------------------------------------
# Group-normalised advantages, and the annealed coefficient
# ---------------------------------------------------------------------------------------------------------------------

REWARDS = [
    ([1, 0, 0, 1, 0, 0, 0, 1], [0, 8]),
    ([1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0], [0, 4, 8, 12, 16]),      # mixed, all right, all wrong, mixed
    ([0.25, -1.5, 0.75, 2, 0.1, 0.1, 0.1, -3, 0.3], [0, 4, 7, 9]),               # graded; the second group is constant
    ([0.1] * 7 + [0.7, 0.1, -0.4, 0.9, 0.3], [0, 7, 8, 12]),                     # constant, a group of one, graded
]


def group_advantages(rewards, offsets, divide_by_std, std, epsilon):
    out = []
    for a, b in zip(offsets, offsets[1:]):
        r = torch.tensor(rewards[a:b], dtype=torch.float64)
        if (r == r[0]).all():
            out += [0.0] * (b - a)
            continue
        advantage = r - r.mean()
        if divide_by_std:
            advantage = advantage / (r.std(unbiased=std == "sample") + epsilon)
        out += advantage.tolist()
    return out


def advantage_cases():
    for rewards, offsets in REWARDS:
        rewards = [f32(r) for r in rewards]
        for divide_by_std, std, epsilon in ((True, "population", 1e-6), (True, "sample", 1e-6), (True, "sample", 1e-4),
                                            (False, "population", 1e-6), (False, "sample", 1e-6)):
            yield {"rewards": rewards, "group_offsets": offsets, "divide_by_std": divide_by_std, "std": std,
                   "epsilon": epsilon, "expected": group_advantages(rewards, offsets, divide_by_std, std, epsilon)}


SCHEDULES = [    # initial, decrement, floor, steps
    ("2e-3", "1e-5", "0", (1, 2, 3, 50, 100, 150, 199, 200, 201, 202, 300)),
    ("2e-2", "1e-4", "0", (1, 100, 201, 202)),
    ("2e-3", "6.7e-6", "0", (1, 150, 299, 300)),
    ("2e-3", "9e-6", "2e-4", (1, 200, 201, 202, 300)),
    ("2e-3", "0", "0", (1, 300)),
]


def annealing_cases():
    """Exact rational arithmetic on the decimal literals, rounded to double once."""
    for initial, decrement, floor, steps in SCHEDULES:
        for s in steps:
            exact = max(Fraction(initial) - (s - 1) * Fraction(decrement), Fraction(floor))
            yield {"step": s, "initial": float(initial), "decrement": float(decrement), "floor": float(floor),
                   "expected": float(exact)}


# ---------------------------------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------------------------------

OUTPUTS = ("loss", "row_losses", "gradient", "expected")


def text(value, output=False):
    """JSON text: one line, inputs in the shortest form that reads back the same, outputs with 17 significant digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {text(v, k in OUTPUTS)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(text(v, output) for v in value) + "]"
    if isinstance(value, float):
        assert not math.isnan(value) and value != float("inf")
        if value == NEGATIVE_INFINITY:
            return '"-inf"'
        return format(value + 0.0, ".17g") if output else repr(value)
    return json.dumps(value)


def lines(entries):
    return "[\n" + ",\n".join("  " + text(e) for e in entries) + "\n]"


def case_block(case):
    return "  {\n" + ",\n".join(f"    {json.dumps(k)}: {text(v, k in OUTPUTS)}" for k, v in case.items()) + "\n  }"


def main():
    parser = argparse.ArgumentParser(description="Writes the golden values.")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("golden.json"))
    output = parser.parse_args().output

    print(f"torch {torch.__version__}, seed {SEED}")
    torch.set_num_threads(1)
    cases = [evaluate(case) for case in CASES]
    output.write_text(
        "{\n"
        f'"generator": {text({"torch": torch.__version__, "seed": SEED})},\n'
        '"cases": [\n' + ",\n".join(case_block(case) for case in cases) + "\n],\n"
        f'"advantages": {lines(advantage_cases())},\n'
        f'"annealing": {lines(annealing_cases())}\n'
        "}\n")

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    document = json.loads(output.read_text(), parse_constant=refuse)
    for written, case in zip(document["cases"], cases, strict=True):
        for key, value in case.items():
            read_back = [NEGATIVE_INFINITY if x == "-inf" else x for x in written[key]] \
                if isinstance(value, list) else written[key]
            assert read_back == value, f"{case['name']}: {key} does not round-trip"
    for key, value in closed_forms.verify(document).items():
        print(f"largest deviation from the closed forms, {key}: {value:.2e}")
    print(f"{len(cases)} cases, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
