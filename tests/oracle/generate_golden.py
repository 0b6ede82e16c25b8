#!/usr/bin/env python3
"""Writes golden.json: losses and gradients of every objective, from PyTorch in float64 with automatic differentiation.

    python3 generate_golden.py [--output golden.json]

An objective is one function of one row (section "Objectives"), written as its paper or the usual trainers define it.
A reduction is one function of the row losses. A case is one entry of CASES. Inputs are drawn from a stream seeded by
(SEED, case name), so adding, removing or reordering cases changes no other case. Every number a case takes as input is
rounded to float32 first; the arithmetic is float64 throughout.

An entry of SYSTEMS is a case whose loss and gradient are those of another system's function (public_systems.py) on the
whole batch, beside the objective and the reduction that give the same here.

The written file is read back and compared with closed_forms.py, which differentiates by hand in 50-digit decimals.
"""

import argparse
import json
import math
import random
import struct
import sys
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Callable, Optional, Sequence

import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
import closed_forms  # noqa: E402
import public_systems  # noqa: E402

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
    given_teacher_log_prob: Optional[float] = None
    coefficient: Optional[float] = None
    sequence_log_ratio: Optional[torch.Tensor] = None    # depends on the logits of every row of the sequence

    @property
    def log_p(self):
        return F.log_softmax(self.z / self.student_temperature, dim=-1)

    @property
    def log_q(self):
        return F.log_softmax(self.w / self.teacher_temperature, dim=-1)

    @property
    def teacher_log_prob(self):
        """log q(y): as given, or of the teacher's logits."""
        if self.given_teacher_log_prob is None:
            return self.log_q[self.token]
        return torch.tensor(self.given_teacher_log_prob, dtype=torch.float64)


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


def adaptive_kl(row):
    """AKL as its public code weighs it: the head is what is left of the teacher's sorted tokens where the cumulative
    probability exceeds mu, the first always; the weights are constants."""
    p, q = torch.exp(row.log_p).detach(), torch.exp(row.log_q)
    ranked, order = q.sort(descending=True)
    mu = row.parameter["head_mass"]
    tail = ranked.cumsum(dim=-1) > (mu if mu < 1 else 2)    # a sum over the whole vocabulary may round to more than 1
    tail[0] = False
    gap = (ranked - p[order]).abs()
    head = gap.masked_fill(tail, 0.0).sum() / gap.sum()
    return head * forward_kl(row) + (1 - head) * reverse_kl(row)


def smoothed(row, smoothing):
    """Cross-entropy with PyTorch's label smoothing, over the entries that the student does not mask."""
    support = (row.z > NEGATIVE_INFINITY).nonzero().flatten()
    label = (support == row.label).nonzero().flatten() if row.label is not None else torch.tensor([0])
    return F.cross_entropy((row.z[support] / row.student_temperature).unsqueeze(0), label, label_smoothing=smoothing)


def uniform_cross_entropy(row):
    return smoothed(row, 1.0)


def smoothed_cross_entropy(row):
    return smoothed(row, row.parameter["smoothing"])


def z_loss(row):
    return torch.logsumexp(row.z / row.student_temperature, dim=-1) ** 2


def forward_kl_and_z_loss(row):
    return forward_kl(row) + row.parameter["coefficient"] * z_loss(row)


def reported(value, descended):
    """The value of the one, the gradient of the other."""
    return value.detach() + descended - descended.detach()


def guarded_ratio(row):
    return torch.exp(torch.clamp(row.log_p[row.token] - row.old_log_prob, -GUARD, GUARD))


def on_policy(row, advantage):
    """-A, and the policy gradient of A held constant."""
    advantage = advantage.detach()
    return reported(-advantage, -advantage * row.log_p[row.token])


def importance_weighted(row, advantage):
    return -guarded_ratio(row) * advantage.detach()


def bounded_log_ratio(row, sampling_log_prob):
    """log q(y) less the log-probability under which y was sampled: held to its bounds, or dropped outside."""
    parameter, a = row.parameter, row.teacher_log_prob - sampling_log_prob
    held = torch.clamp(a, parameter.get("floor", -GUARD), parameter.get("ceiling", GUARD))
    return held if held == a or not parameter.get("drops_outside") else torch.zeros_like(a)


def log_ratio_advantage(row):
    return on_policy(row, bounded_log_ratio(row, row.log_p[row.token]))


def log_ratio_advantage_with_ratio(row):
    return importance_weighted(row, bounded_log_ratio(row, row.old_log_prob))


def opd(row):
    return row.parameter["coefficient"] * log_ratio_advantage_with_ratio(row)


def vopd(row):
    """The row's exact reverse KL taken off the advantage; what is reported is the log-ratio."""
    log_ratio = torch.clamp(row.log_p[row.token] - row.teacher_log_prob, -GUARD, GUARD)
    advantage = (reverse_kl(row) - log_ratio).detach()
    return row.parameter["coefficient"] * reported(log_ratio, -advantage * row.log_p[row.token])


def power(row, sampling_log_prob):
    a = row.parameter["exponent"]
    return torch.exp(a * row.teacher_log_prob) - torch.exp(a * torch.as_tensor(sampling_log_prob, dtype=torch.float64))


def power_advantage(row):
    return on_policy(row, power(row, row.log_p[row.token]))


def power_advantage_with_ratio(row):
    return importance_weighted(row, power(row, row.old_log_prob))


def mixed(row, sampling_log_prob):
    """TOP-D's log(a q / p + 1 - a)."""
    a = row.parameter["teacher_share"]
    return torch.log(a * torch.exp((row.teacher_log_prob - sampling_log_prob).clamp(max=GUARD)) + 1 - a)


def mixture_advantage(row):
    return on_policy(row, mixed(row, row.log_p[row.token]))


def mixture_advantage_with_ratio(row):
    return importance_weighted(row, mixed(row, row.old_log_prob))


def clipped_importance(row):
    """CISPO: the clipped ratio is a constant weight."""
    weight = torch.clamp(guarded_ratio(row), row.parameter["lower"], row.parameter["upper"]).detach()
    return -weight * row.advantage * row.log_p[row.token]


def sequence_surrogate(row):
    """GSPO: one ratio for the whole sequence, through which the gradient reaches all its rows."""
    ratio = torch.exp(torch.clamp(row.sequence_log_ratio, -GUARD, GUARD))
    clipped = torch.clamp(ratio, row.parameter["lower"], row.parameter["upper"])
    return torch.maximum(-row.advantage * ratio, -row.advantage * clipped)


def kl_estimator(row):
    """Schulman's estimators; beyond the guard the log-ratio is held and keeps its slope."""
    x = row.log_p[row.token] - row.teacher_log_prob
    x = reported(torch.clamp(x, -GUARD, GUARD), x)
    estimates = {1: x, 2: 0.5 * x**2, 3: torch.exp(-x) - 1 + x}
    return reported(estimates[row.parameter["value"]], estimates[row.parameter["gradient"]])


def kdrl(row):
    log_ratio = row.teacher_log_prob - row.log_p[row.token]
    return clipped_surrogate(row) + row.parameter["coefficient"] * 0.5 * log_ratio**2


def gkd(row):
    """The loss's own temperature has no say in it."""
    t = row.parameter["temperature"]
    return jensen_shannon(replace(row, student_temperature=t, teacher_temperature=t))


def minillm(row):
    return row.parameter["surrogate_weight"] * clipped_surrogate(row) + row.parameter["single_step"] * reverse_kl(row)


def distillm(row):
    r = row.parameter["ratio"]
    return (1 - r) * cross_entropy(row) + r * skew_reverse_kl(row)


def abkd(row):
    r = row.parameter["ratio"]
    return (1 - r) * cross_entropy(row) + r * alpha_beta(row)


def gated_tgpo(row):
    return clipped_surrogate(row) + row.coefficient * row.parameter["coefficient"] * teacher_guidance(row)


def gated_forward_kl(row):
    return reverse_kl(row) + row.coefficient * row.parameter["coefficient"] * forward_kl(row)


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
    "adaptive_kl": (adaptive_kl, {"teacher"}),
    "uniform_cross_entropy": (uniform_cross_entropy, set()),
    "smoothed_cross_entropy": (smoothed_cross_entropy, {"labels"}),
    "z_loss": (z_loss, set()),
    "forward_kl_and_z_loss": (forward_kl_and_z_loss, {"teacher"}),
    "log_ratio_advantage": (log_ratio_advantage, {"tokens", "teacher_log_probs"}),
    "log_ratio_advantage_with_ratio": (log_ratio_advantage_with_ratio,
                                       {"tokens", "teacher_log_probs", "old_log_probs"}),
    "opd": (opd, {"tokens", "teacher_log_probs", "old_log_probs"}),
    "vopd": (vopd, {"tokens", "teacher"}),
    "power_advantage": (power_advantage, {"tokens", "teacher_log_probs"}),
    "power_advantage_with_ratio": (power_advantage_with_ratio, {"tokens", "teacher_log_probs", "old_log_probs"}),
    "mixture_advantage": (mixture_advantage, {"tokens", "teacher_log_probs"}),
    "mixture_advantage_with_ratio": (mixture_advantage_with_ratio, {"tokens", "teacher_log_probs", "old_log_probs"}),
    "clipped_importance": (clipped_importance, {"tokens", "advantages", "old_log_probs"}),
    "sequence_surrogate": (sequence_surrogate, {"tokens", "advantages", "old_log_probs", "sequence_log_ratios"}),
    "kl_estimator": (kl_estimator, {"tokens", "teacher_log_probs"}),
    "kdrl": (kdrl, {"tokens", "advantages", "old_log_probs", "teacher_log_probs"}),
    "gkd": (gkd, {"teacher"}),
    "minillm": (minillm, {"tokens", "advantages", "old_log_probs", "teacher"}),
    "distillm": (distillm, {"teacher", "labels"}),
    "abkd": (abkd, {"teacher", "labels"}),
    "gated_tgpo": (gated_tgpo, {"tokens", "advantages", "old_log_probs", "teacher_tokens", "coefficients"}),
    "gated_forward_kl": (gated_forward_kl, {"teacher", "coefficients"}),
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
    dense: bool = False                              # log q(y) comes from dense teacher logits
    gaps: Optional[Sequence[float]] = None           # wanted log q(y) - log p(y) with q(y) < 1, repeated over the rows
    temperatures: Optional[Sequence[float]] = None   # per row, times the case's
    coefficients: Optional[Sequence[float]] = None   # per row
    masked_scale: float = 1000.0                     # size of the logits of masked rows


@dataclass
class System(Case):
    """Their loss = factor * ours + excess, their gradient = factor * our gradient."""
    theirs: Callable = None                          # (public_systems.Batch, parameters) -> loss
    says: str = ""                                   # repository and function, and what differs
    factor: Callable = lambda parameters: 1.0
    excess_of: Optional[str] = None                  # key of EXCESS: what their value has and ours lacks
    excess_times: float = 1.0


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

STEP = {"lower": 0.75, "upper": 1.25}                # exact in float32: 1 - 1/4 and 1 + 1/4
NO_BOUNDS = {"floor": -20.0, "ceiling": 20.0, "drops_outside": 0}
TIGHT = {"floor": -0.5, "ceiling": 0.75, "drops_outside": 0}
GAPS = (0.3, -1.5, 0.9, -0.2, 1.1, -4.0)
PER_ROW = (0.5, 2, 1, 1.5, 0.25, 4)
GATES = (1, 0, 0.5, 0.25, 2, 1)
# The sequences of SPLIT are between the bounds, below and above them.
SEQUENCE_RATIOS = (1.5, 0.7, 0.5, 2.0, 1.7, 1.4)

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

    Case("adaptive_kl", "adaptive_kl", {"head_mass": 0.5}, logits=independent(1.5, 0.7), vocabulary=17,
         rows=3),
    Case("adaptive_kl_first_token_alone", "adaptive_kl", {"head_mass": 0.1}, logits=large_gap(), vocabulary=5),
    Case("adaptive_kl_whole_vocabulary", "adaptive_kl", {"head_mass": 1.0}, vocabulary=8, rows=3),
    Case("adaptive_kl_separate_temperatures", "adaptive_kl", {"head_mass": 0.75}, temperature=(0.7, 2), vocabulary=33,
         rows=2),
    Case("adaptive_kl_weighted", "adaptive_kl", {"head_mass": 0.5}, temperature=(2, 2), rows=6, weights=FRACTIONAL,
         reduction="sequence_mean", offsets=SPLIT, vocabulary=8),
    Case("adaptive_kl_nearly_equal", "adaptive_kl", {"head_mass": 0.5}, logits=nearly_equal(), vocabulary=8),
    Case("adaptive_kl_masked_vocabulary_both", "adaptive_kl", {"head_mass": 0.75}, logits=masked(both=0.3),
         vocabulary=16, rows=3),

    Case("uniform_cross_entropy", "uniform_cross_entropy", vocabulary=13),
    Case("uniform_cross_entropy_masked_vocabulary", "uniform_cross_entropy", logits=masked(student=0.4),
         temperature=(2, 2), rows=6, weights=FRACTIONAL, vocabulary=8),
    Case("smoothed_cross_entropy", "smoothed_cross_entropy", {"smoothing": 0.1}, vocabulary=16),
    Case("smoothed_cross_entropy_masked_vocabulary", "smoothed_cross_entropy", {"smoothing": 0.25},
         temperature=(0.7, 0.7), logits=masked(student=0.3), rows=6, ignored=(1, 4), vocabulary=8),

    Case("z_loss", "z_loss", vocabulary=17),
    Case("z_loss_temperature_2", "z_loss", temperature=(2, 2), rows=6, weights=FRACTIONAL, vocabulary=5,
         logits=masked(student=0.3)),
    Case("forward_kl_and_z_loss", "forward_kl_and_z_loss", {"coefficient": 0.01}, temperature=(0.7, 2), vocabulary=8),

    Case("log_ratio_advantage", "log_ratio_advantage", NO_BOUNDS, vocabulary=8),
    Case("log_ratio_advantage_dense_teacher", "log_ratio_advantage", NO_BOUNDS, dense=True, temperature=(0.7, 2),
         logits=masked(both=0.3), vocabulary=16),
    Case("log_ratio_advantage_bounded", "log_ratio_advantage", TIGHT, rows=6, gaps=GAPS, weights=FRACTIONAL,
         vocabulary=5),
    Case("log_ratio_advantage_dropped_outside", "log_ratio_advantage", {**TIGHT, "drops_outside": 1}, rows=6, gaps=GAPS,
         temperature=(2, 2), vocabulary=5),
    Case("log_ratio_advantage_with_ratio_bounded", "log_ratio_advantage_with_ratio", TIGHT, rows=6, gaps=GAPS,
         vocabulary=5),
    Case("log_ratio_advantage_with_ratio_dropped_outside", "log_ratio_advantage_with_ratio",
         {**TIGHT, "drops_outside": 1}, rows=6, gaps=GAPS, weights=BINARY, vocabulary=5),
    Case("opd", "opd", {"coefficient": 1.0}, vocabulary=8),
    Case("opd_dense_teacher", "opd", {"coefficient": 0.5}, dense=True, temperature=(2, 2), rows=6, weights=FRACTIONAL,
         reduction="sequence_mean_of_sums", offsets=SPLIT, vocabulary=5),
    Case("opd_beyond_guard", "opd", {"coefficient": 1.0}, rows=4, ratios=[math.exp(x) for x in (22, -22, 19, -18.5)],
         vocabulary=5),
    Case("vopd", "vopd", {"coefficient": 1.0}, vocabulary=17, rows=2),
    Case("vopd_separate_temperatures", "vopd", {"coefficient": 0.5}, temperature=(0.7, 2), rows=6, weights=FRACTIONAL,
         vocabulary=5),
    Case("vopd_masked_vocabulary_both", "vopd", {"coefficient": 2.0}, logits=masked(both=0.3), vocabulary=13),
    *[Case(f"{name}{suffix}", name, {key: value}, vocabulary=5, **settings)
      for name, key in (("power_advantage", "exponent"), ("power_advantage_with_ratio", "exponent"),
                        ("mixture_advantage", "teacher_share"), ("mixture_advantage_with_ratio", "teacher_share"))
      for suffix, value, settings in (
          ("", 0.1, {"rows": 6, "gaps": GAPS}),
          ("_dense_teacher", 0.25, {"dense": True, "temperature": (2, 0.7), "rows": 6, "weights": FRACTIONAL}))],

    Case("clipped_importance_every_branch", "clipped_importance", STEP, vocabulary=8, **EVERY_BRANCH),
    Case("clipped_importance_above_only", "clipped_importance", {"lower": 0.0, "upper": 5.0}, rows=6,
         ratios=(8, 6, 0.1, 1.2, 4, 0.5), weights=FRACTIONAL, temperature=(0.7, 0.7), vocabulary=5),
    Case("clipped_importance_beyond_guard", "clipped_importance", {"lower": 0.5, "upper": 1e6}, vocabulary=5,
         **{**BEYOND_GUARD, "rows": 4}),

    *[Case(f"sequence_surrogate_{name}", "sequence_surrogate", CLIP_HIGHER, rows=6, offsets=SPLIT,
           reduction="sequence_mean", ratios=SEQUENCE_RATIOS, vocabulary=8, **settings)
      for name, settings in (("one_sign", {"signs": (1,)}), ("other_sign", {"signs": (-1,)}),
                             ("weighted", {"weights": FRACTIONAL, "signs": (1, 1, -1), "temperature": (2, 2)}),
                             ("one_sequence_masked", {"weights": FIRST_SEQUENCE_MASKED, "signs": (-1, -1, -1, 1)}))],
    Case("sequence_surrogate_published_bounds", "sequence_surrogate", {"lower": 1 - 3e-4, "upper": 1 + 4e-4}, rows=6,
         offsets=SPLIT, reduction="sequence_mean", ratios=(0.5, 2, 1.2, 0.9, 1.1, 0.8), signs=(-1, 1, 1, 1),
         vocabulary=5),

    *[Case(f"kl_estimator_k{value}_k{gradient}", "kl_estimator", {"value": value, "gradient": gradient}, vocabulary=5,
           **settings)
      for value, gradient, settings in (
          (1, 2, {"gaps": GAPS, "rows": 6}), (2, 2, {"temperature": (2, 2)}), (3, 3, {"gaps": GAPS, "rows": 6}),
          (3, 2, {"dense": True, "temperature": (0.7, 2)}), (1, 3, {"weights": FRACTIONAL, "rows": 6}),
          (2, 3, {"dense": True, "logits": masked(both=0.3)}))],
    *[Case(f"kl_estimator_k{kind}_k{kind}_beyond_guard", "kl_estimator", {"value": kind, "gradient": kind}, rows=3,
           gaps=(-22, -25, -19), vocabulary=5) for kind in (2, 3)],

    Case("kdrl_every_branch", "kdrl", TGPO, vocabulary=8, **EVERY_BRANCH),
    Case("kdrl_dense_teacher", "kdrl", STRONG, dense=True, temperature=(0.7, 2), vocabulary=8),
    Case("gkd", "gkd", {"teacher_weight": 0.5, "temperature": 0.9}, vocabulary=17, rows=3),
    Case("gkd_beside_another_temperature", "gkd", {"teacher_weight": 0.1, "temperature": 2.0}, temperature=(0.7, 0.5),
         rows=6, weights=FRACTIONAL, vocabulary=5),
    Case("minillm_every_branch", "minillm", {**CLIP, "surrogate_weight": 1.0, "single_step": 1.0}, vocabulary=5,
         **EVERY_BRANCH),
    Case("minillm_temperature_2", "minillm", {**CLIP, "surrogate_weight": 0.5, "single_step": 2.0}, temperature=(2, 2),
         logits=masked(both=0.3), vocabulary=8),
    Case("distillm", "distillm", {"ratio": 0.75, "share": 0.1}, rows=6, ignored=(2,), weights=FRACTIONAL, vocabulary=5),
    Case("distillm_temperature_2", "distillm", {"ratio": 0.5, "share": 0.25}, temperature=(2, 2), vocabulary=8),
    Case("abkd", "abkd", {"ratio": 0.75, "alpha": 0.2, "beta": 0.7}, rows=6, ignored=(0, 5), vocabulary=8),

    Case("forward_kl_row_temperatures", "forward_kl", temperature=(0.7, 2), rows=6, temperatures=PER_ROW, vocabulary=5),
    Case("jensen_shannon_row_temperatures", "jensen_shannon", {"teacher_weight": 0.1}, temperature=(2, 2), rows=6,
         temperatures=PER_ROW, weights=FRACTIONAL, vocabulary=8),
    Case("entropy_row_temperatures", "entropy", rows=6, temperatures=PER_ROW, vocabulary=5),
    Case("z_loss_row_temperatures", "z_loss", rows=6, temperatures=PER_ROW, vocabulary=5),
    Case("tgpo_row_temperatures", "tgpo", STRONG, temperature=(0.7, 0.7), temperatures=PER_ROW, vocabulary=8,
         **EVERY_BRANCH),
    Case("kl_estimator_row_temperatures", "kl_estimator", {"value": 3, "gradient": 3}, dense=True, temperature=(0.7, 2),
         temperatures=PER_ROW, rows=6, vocabulary=5),
    Case("gated_tgpo", "gated_tgpo", STRONG, coefficients=GATES, vocabulary=8, **EVERY_BRANCH),
    Case("gated_tgpo_row_temperatures", "gated_tgpo", STRONG, coefficients=GATES, temperatures=PER_ROW, rows=6,
         weights=FRACTIONAL, reduction="sequence_mean", offsets=SPLIT, vocabulary=5),
    Case("gated_forward_kl", "gated_forward_kl", {"coefficient": 0.5}, coefficients=GATES, rows=6, weights=BINARY,
         temperature=(2, 2), vocabulary=8),
]


def system(name, says, theirs, objective, parameters=None, **settings):
    """Two sequences of three tokens, the last of the second one padding, unless said otherwise."""
    return System(name, objective, parameters or {}, theirs=theirs, says=says,
                  **{"rows": 6, "offsets": (0, 3, 6), "weights": (1, 1, 1, 1, 1, 0), "vocabulary": 5,
                     "masked_scale": 2.0, **settings})


def trl_gkd(name, says, beta, objective, parameters=None, labelled=True, their_reduction="batchmean", **settings):
    def theirs(batch, parameters):
        return public_systems.trl_generalized_jsd_loss(
            batch.student, batch.teacher, batch.labels if labelled else None,
            beta=parameters["teacher_weight"] if beta is None else beta,
            temperature=parameters.get("temperature", batch.temperature), reduction=their_reduction)
    return system(f"trl_gkd_{name}", f"TRL, GKDTrainer.generalized_jsd_loss: {says}", theirs, objective, parameters,
                  **settings)


def trl_grpo(name, says, loss_type, level, objective, parameters, **settings):
    def theirs(batch, parameters):
        return public_systems.trl_grpo_loss(
            batch, loss_type, level, epsilon_low=1 - parameters["lower"],
            epsilon_high=parameters["upper"] - (0 if loss_type == "cispo" else 1), num_items=TRL_ITEMS)
    return system(f"trl_grpo_{name}", f"TRL, GRPOTrainer: {says}", theirs, objective, parameters, **settings)


def distillm_code(name, says, theirs, objective, parameters=None, **settings):
    return system(f"distillm_{name}", f"DistiLLM, {says}",
                  lambda batch, p: theirs(batch.student, batch.teacher, batch.labels, p),
                  objective, parameters, **settings)


def ab_div(name, says, parameters, **settings):
    return system(f"abkd_{name}", f"ABKD, ab_div: {says}",
                  lambda batch, p: public_systems.abkd_ab_div(batch.student, batch.teacher, batch.labels,
                                                              p["alpha"], p["beta"]),
                  "alpha_beta", parameters, **settings)


def tgpo_code(name, says, theirs, objective, parameters=None, **settings):
    return system(f"tgpo_code_{name}", f"TGPO's authors, {says}", theirs, objective, parameters,
                  **{"ratios": EVERY_BRANCH["ratios"], "signs": EVERY_BRANCH["signs"], **settings})


TRL_ITEMS = 4.0
CLIPRANGE = 0.25                                     # STEP
TEACHER_COEFFICIENT = 0.25
REGULARISED = {**STEP, "coefficient": TEACHER_COEFFICIENT}
PER_SEQUENCE = {"ratios": (1.5, 0.9, 1.4, 0.5, 0.8, 0.6), "signs": (1, 1, 1, -1)}

SYSTEMS = [
    trl_gkd("batchmean", "'batchmean' with labels is the mean over labelled tokens", None, "gkd",
            {"teacher_weight": 0.3, "temperature": 0.9}),
    trl_gkd("beta_0", "beta = 0 is forward KL", 0, "forward_kl", temperature=(2, 2)),
    trl_gkd("beta_1", "beta = 1 is reverse KL", 1, "reverse_kl"),
    trl_gkd("batchmean_without_labels", "divided by the number of sequences", None, "jensen_shannon",
            {"teacher_weight": 0.5}, labelled=False, weights=None, reduction="token_sum", denominator=2.0),
    trl_gkd("mean", "'mean' is over tokens and vocabulary", None, "jensen_shannon", {"teacher_weight": 0.75},
            their_reduction="mean", denominator=5 * 5.0),
    trl_grpo("cispo", "loss_type 'cispo' bounds the ratio above only, by epsilon_high itself, and divides by the items "
             "of the batch", "cispo", "token", "clipped_importance", {"lower": 0.0, "upper": 1.25},
             ratios=EVERY_BRANCH["ratios"], signs=(1, 1, 1, -1), denominator=TRL_ITEMS),
    trl_grpo("sequence_level", "importance_sampling_level 'sequence', loss_type 'grpo'", "grpo", "sequence",
             "sequence_surrogate", STEP, reduction="sequence_mean", **PER_SEQUENCE),
    trl_grpo("sequence_level_bnpo", "importance_sampling_level 'sequence', loss_type 'bnpo': sequences weigh as their "
             "lengths", "bnpo", "sequence", "sequence_surrogate", STEP, **PER_SEQUENCE),

    distillm_code("forward_kl", "forward_kl is the cross-entropy: the teacher's entropy is added",
                  lambda z, w, labels, p: public_systems.distillm_forward_kl(z, w, labels), "forward_kl",
                  logits=masked(both=0.3), excess_of="teacher_entropy"),
    distillm_code("reverse_kl", "reverse_kl",
                  lambda z, w, labels, p: public_systems.distillm_reverse_kl(z, w, labels), "reverse_kl"),
    distillm_code("symmetric_kl", "symmetric_kl, lam = 0.75, the share of reverse KL",
                  lambda z, w, labels, p: public_systems.distillm_symmetric_kl(z, w, labels, p["reverse_kl"]),
                  "forward_reverse_jensen",
                  {"forward_kl": 0.25, "reverse_kl": 0.75, "jensen_shannon": 0.0, "teacher_weight": 0.5},
                  excess_of="teacher_entropy", excess_times=0.25),
    distillm_code("js_distance", "js_distance, lam weighs the student",
                  lambda z, w, labels, p: public_systems.distillm_js_distance(z, w, labels, 1 - p["teacher_weight"]),
                  "jensen_shannon", {"teacher_weight": 0.1}),
    distillm_code("tv_distance", "tv_distance",
                  lambda z, w, labels, p: public_systems.distillm_tv_distance(z, w, labels), "total_variation"),
    distillm_code("skewed_forward_kl", "skewed_forward_kl: the teacher's entropy is added",
                  lambda z, w, labels, p: public_systems.distillm_skewed_forward_kl(z, w, labels, p["share"]),
                  "skew_forward_kl", {"share": 0.1}, excess_of="teacher_entropy"),
    distillm_code("skewed_reverse_kl", "skewed_reverse_kl, lam weighs the student",
                  lambda z, w, labels, p: public_systems.distillm_skewed_reverse_kl(z, w, labels, p["share"]),
                  "skew_reverse_kl", {"share": 0.1}),
    distillm_code("finetune", "finetune.py, type srkl: both parts over the labelled tokens",
                  lambda z, w, labels, p: public_systems.mixed_with_language_model_loss(
                      z, labels, p["ratio"], public_systems.distillm_skewed_reverse_kl(z, w, labels, p["share"])),
                  "distillm", {"ratio": 0.75, "share": 0.1}, weights=None, ignored=(2, 5)),

    ab_div("general", "the general case", {"alpha": 0.2, "beta": 0.7}),
    ab_div("zero", "alpha = beta = 0", {"alpha": 0.0, "beta": 0.0}),
    ab_div("alpha_zero", "alpha = 0 is beta times the limit of the general case", {"alpha": 0.0, "beta": 0.75},
           factor=lambda p: p["beta"]),
    ab_div("beta_zero", "beta = 0 is alpha times the limit of the general case", {"alpha": 0.5, "beta": 0.0},
           factor=lambda p: p["alpha"]),
    system("abkd_finetune", "ABKD, finetune.py, type ab: both parts over the labelled tokens",
           lambda batch, p: public_systems.mixed_with_language_model_loss(
               batch.student, batch.labels, p["ratio"],
               public_systems.abkd_ab_div(batch.student, batch.teacher, batch.labels, p["alpha"], p["beta"])),
           "abkd", {"ratio": 0.75, "alpha": 0.2, "beta": 0.7}, weights=None, ignored=(2, 5)),

    system("akl", "AKL: mu = 0.5",
           lambda batch, p: public_systems.akl(batch.student, batch.teacher, batch.labels, p["head_mass"]),
           "adaptive_kl", {"head_mass": 0.5}, logits=independent(1.5, 0.7), vocabulary=8),

    tgpo_code("tgpo", "compute_token_on_tgpo_loss: one masked mean for each part",
              lambda batch, p: public_systems.tgpo_loss(batch, CLIPRANGE, p["coefficient"]), "tgpo", REGULARISED),
    tgpo_code("tgpo_without_token_mean",
              "compute_token_on_tgpo_loss, loss_remove_token_mean: the surrogate is divided by the padded length, the "
              "guidance still by the tokens; the coefficient here is theirs * length / tokens",
              lambda batch, p: public_systems.tgpo_loss(batch, CLIPRANGE, p["coefficient"] * 5 / 3, by_length=True),
              "tgpo", REGULARISED, reduction="normalized_by", denominator=3.0),
    tgpo_code("reverse_k2", "compute_token_on_tgpo_loss, kl_direction 'reverse_k2'",
              lambda batch, p: public_systems.tgpo_loss(batch, CLIPRANGE, p["coefficient"], "reverse_k2"),
              "kdrl", REGULARISED),
    tgpo_code("reverse_k3", "compute_token_on_tgpo_loss, kl_direction 'reverse_k3', reg_only",
              lambda batch, p: public_systems.tgpo_loss(batch, CLIPRANGE, TEACHER_COEFFICIENT, "reverse_k3",
                                                        alone=True),
              "kl_estimator", {"value": 3, "gradient": 3}, factor=lambda p: TEACHER_COEFFICIENT),
    tgpo_code("reverse_k1", "compute_token_on_tgpo_loss, kl_direction 'reverse_k1', reg_only: the value is that of the "
              "surrogate, log(p / q) log p",
              lambda batch, p: public_systems.tgpo_loss(batch, CLIPRANGE, TEACHER_COEFFICIENT, "reverse_k1",
                                                        alone=True),
              "log_ratio_advantage", NO_BOUNDS, dense=True, factor=lambda p: TEACHER_COEFFICIENT,
              excess_of="surrogate", excess_times=TEACHER_COEFFICIENT),
    tgpo_code("kdrl", "compute_token_on_kdrl_loss",
              lambda batch, p: public_systems.kdrl_loss(batch, CLIPRANGE, p["coefficient"]), "kdrl", REGULARISED),
    tgpo_code("kdrl_subtracted",
              "compute_token_on_kdrl_loss at 342c8ca, which subtracts the divergence: the coefficient here is negative",
              lambda batch, p: public_systems.kdrl_loss(batch, CLIPRANGE, -p["coefficient"], subtracted=True),
              "kdrl", {**STEP, "coefficient": -TEACHER_COEFFICIENT}),
    tgpo_code("rkl", "compute_rkl_advantage in the surrogate with loss_remove_clip",
              lambda batch, p: public_systems.rkl_loss(batch), "opd", {"coefficient": 1.0}),
    tgpo_code("rkl_centered",
              "compute_opd_centered_advantage with all of the vocabulary as top-k, on policy: the baseline is part of "
              "the value", lambda batch, p: public_systems.centered_rkl_loss(batch), "vopd", {"coefficient": 1.0},
              excess_of="reverse_kl", excess_times=-1.0),
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
    row_temperatures = None if case.temperatures is None else [f32(t) for t in case.temperatures]
    vocabulary = case.vocabulary or rng.choice(VOCABULARIES)
    student, teacher = [], []
    columns = {key: [] for key in ("tokens", "teacher_tokens", "labels", "old_log_probs", "teacher_log_probs",
                                   "advantages")}
    for i in range(case.rows):
        of_student, of_teacher = (t * (row_temperatures[i] if row_temperatures else 1.0) for t in temperature)
        z, w = case.logits(rng, vocabulary)
        if i in case.ignored or (case.weights is not None and case.weights[i] == 0):
            # A masked row holds numbers that would show in every result they reached.
            z, w = ([rng.gauss(0, case.masked_scale) for _ in z] for _ in range(2))
        z, w = [f32(x) for x in z], [f32(x) for x in w]
        log_ratio = math.log(case.ratios[i % len(case.ratios)])
        log_p = [x / of_student for x in z]
        log_p = [x - log_sum_exp(log_p) for x in log_p]
        possible = [v for v, x in enumerate(z) if x > NEGATIVE_INFINITY]
        y = pick_token(rng, z, log_p, log_ratio, of_student) if "old_log_probs" in needs else rng.choice(possible)
        log_p_y = z[y] / of_student - log_sum_exp([x / of_student for x in z])
        log_q_y = w[y] / of_teacher - log_sum_exp([x / of_teacher for x in w])
        columns["tokens"].append(y)
        columns["old_log_probs"].append(f32(log_p_y - log_ratio))
        wanted = min(log_p_y + case.gaps[i % len(case.gaps)], -0.01) if case.gaps else log_q_y
        columns["teacher_log_probs"].append(f32(wanted))
        columns["advantages"].append(f32(case.signs[i % len(case.signs)] * rng.uniform(0.25, 2)))
        if "sequence_log_ratios" in needs and i not in case.offsets:    # one advantage for the sequence
            columns["advantages"][i] = columns["advantages"][i - 1]
        columns["labels"].append(IGNORED if i in case.ignored else rng.choice(possible))
        columns["teacher_tokens"].append(w.index(max(w)) if case.guide == "best" else rng.choice(possible))
        student += z
        teacher += w

    def column(key):
        dense = case.argmax if key == "teacher_tokens" else case.dense and key == "teacher_log_probs"
        return columns[key] if key in needs and not dense else None

    inputs = {
        "name": case.name,
        "objective": case.objective,
        "parameters": {k: f32(v) for k, v in case.parameters.items()},
        "temperature": {"student": temperature[0], "teacher": temperature[1]},
        "reduction": case.reduction,
        "denominator": None if case.denominator is None else f32(case.denominator),
        "rows": case.rows,
        "vocabulary": vocabulary,
        "student": student,
        "teacher": teacher if "teacher" in needs or case.argmax or case.dense else None,
        "weights": None if case.weights is None else [f32(x) for x in case.weights],
        "tokens": column("tokens"),
        "teacher_tokens": column("teacher_tokens"),
        "labels": column("labels"),
        "old_log_probs": column("old_log_probs"),
        "teacher_log_probs": column("teacher_log_probs"),
        "advantages": column("advantages"),
        "sequence_offsets": None if case.offsets is None else list(case.offsets),
    }
    for key, values in (("temperatures", row_temperatures), ("coefficients", case.coefficients)):
        if values is not None:
            inputs[key] = [f32(x) for x in values]
    return inputs


def active_weights(inputs):
    weights = inputs["weights"] or [1.0] * inputs["rows"]
    labels = inputs["labels"] or [0] * inputs["rows"]
    return [0.0 if label == IGNORED else w for w, label in zip(weights, labels)]


def rows_of(inputs, z):
    """Row objects of the active rows, by index; z is the tensor to differentiate."""
    w = None
    if inputs["teacher"] is not None:
        w = torch.tensor(inputs["teacher"], dtype=torch.float64).view(inputs["rows"], inputs["vocabulary"])

    def at(key, i, absent=None):
        return inputs[key][i] if inputs.get(key) is not None else absent

    weights = active_weights(inputs)
    rows = {i: Row(z=z[i], w=None if w is None else w[i],
                   student_temperature=inputs["temperature"]["student"] * at("temperatures", i, 1.0),
                   teacher_temperature=inputs["temperature"]["teacher"] * at("temperatures", i, 1.0),
                   parameter=inputs["parameters"], label=at("labels", i), token=at("tokens", i),
                   teacher_token=at("teacher_tokens", i), old_log_prob=at("old_log_probs", i),
                   advantage=at("advantages", i), given_teacher_log_prob=at("teacher_log_probs", i),
                   coefficient=at("coefficients", i))
            for i, weight in enumerate(weights) if weight > 0}
    if "sequence_log_ratios" in OBJECTIVES[inputs["objective"]][1]:
        offsets = inputs["sequence_offsets"]
        for active in ([i for i in range(a, b) if i in rows] for a, b in zip(offsets, offsets[1:])):
            total = sum(weights[i] * (rows[i].log_p[rows[i].token] - rows[i].old_log_prob) for i in active)
            for i in active:
                rows[i].sequence_log_ratio = total / sum(weights[i] for i in active)
    return rows


def student_tensor(inputs):
    return torch.tensor(inputs["student"], dtype=torch.float64).view(inputs["rows"], inputs["vocabulary"])


def near_a_kink(inputs):
    """Whether float32 arithmetic could take another branch than float64 arithmetic."""
    parameter = inputs["parameters"]
    for row in rows_of(inputs, student_tensor(inputs)).values():
        if row.sequence_log_ratio is not None:
            bounds = [math.log(parameter[k]) for k in ("lower", "upper")]
            if min(abs(float(row.sequence_log_ratio) - x) for x in bounds) < 1e-4 or row.advantage == 0:
                return True
        elif "lower" in parameter:
            log_ratio = float(row.log_p[row.token]) - row.old_log_prob
            bounds = [math.log(parameter[k]) for k in ("lower", "upper", "dual_clip") if parameter.get(k)]
            if min(abs(log_ratio - x) for x in [*bounds, GUARD, -GUARD]) < 1e-2 or row.advantage == 0:
                return True
        if row.token is not None and (row.w is not None or row.given_teacher_log_prob is not None):
            bounds = [parameter[k] for k in ("floor", "ceiling") if k in parameter]
            for sampled in (float(row.log_p[row.token]), row.old_log_prob):
                if sampled is not None and min(abs(float(row.teacher_log_prob) - sampled - x)
                                               for x in [*bounds, GUARD, -GUARD]) < 1e-2:
                    return True
        if "head_mass" in parameter:
            ranked = torch.exp(row.log_q).sort(descending=True)[0]
            mass = ranked.cumsum(dim=-1)
            last = max(int((mass <= parameter["head_mass"]).sum()) - 1, 0)
            if parameter["head_mass"] < 1 and (float((mass - parameter["head_mass"]).abs().min()) < 1e-3
                                               or float(ranked[last] / ranked[last + 1]) < 1 + 1e-3):
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


# What some systems' values have that a divergence has not; none of it has a gradient.
EXCESS = {
    "teacher_entropy": lambda row: torch.distributions.Categorical(logits=row.w / row.teacher_temperature).entropy(),
    "reverse_kl": reverse_kl,
    "surrogate": lambda row: (row.log_p[row.token] - row.teacher_log_prob) * (row.log_p[row.token] - 1),
}


def evaluate_system(case):
    inputs = next(x for x in (draw_inputs(case, attempt) for attempt in range(1000)) if not near_a_kink(x))
    z = student_tensor(inputs).requires_grad_()
    active = active_weights(inputs)
    loss = case.theirs(public_systems.batch(inputs, z, [w > 0 for w in active]), inputs["parameters"])
    gradient, = torch.autograd.grad(loss, z)
    excess = 0.0
    if case.excess_of is not None:
        rows = rows_of(inputs, z.detach())
        per_row = torch.stack([EXCESS[case.excess_of](rows[i]) if i in rows else torch.zeros((), dtype=torch.float64)
                               for i in range(case.rows)])
        excess = case.excess_times * float(REDUCTIONS[case.reduction](
            per_row, torch.tensor(active, dtype=torch.float64), inputs["sequence_offsets"], inputs["denominator"]))
    assert torch.isfinite(loss) and torch.isfinite(gradient).all(), case.name
    return {"name": inputs.pop("name"), "system": case.says, **inputs, "factor": case.factor(inputs["parameters"]),
            "excess_of": case.excess_of, "excess_times": case.excess_times, "excess": excess, "loss": float(loss),
            "gradient": gradient.reshape(-1).tolist()}


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

OUTPUTS = ("loss", "row_losses", "gradient", "expected", "excess")


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
    systems = [evaluate_system(case) for case in SYSTEMS]
    output.write_text(
        "{\n"
        f'"generator": {text({"torch": torch.__version__, "seed": SEED})},\n'
        '"cases": [\n' + ",\n".join(case_block(case) for case in cases) + "\n],\n"
        '"systems": [\n' + ",\n".join(case_block(case) for case in systems) + "\n],\n"
        f'"advantages": {lines(advantage_cases())},\n'
        f'"annealing": {lines(annealing_cases())}\n'
        "}\n")

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    document = json.loads(output.read_text(), parse_constant=refuse)
    for written, case in zip([*document["cases"], *document["systems"]], [*cases, *systems], strict=True):
        for key, value in case.items():
            read_back = [NEGATIVE_INFINITY if x == "-inf" else x for x in written[key]] \
                if isinstance(value, list) else written[key]
            assert read_back == value, f"{case['name']}: {key} does not round-trip"
    for key, value in closed_forms.verify(document).items():
        print(f"largest deviation from the closed forms, {key}: {value:.2e}")
    print(f"{len(cases)} cases, {len(systems)} of other systems, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
