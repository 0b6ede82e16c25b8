#!/usr/bin/env python3
"""Checks a golden file against the closed-form gradients, in 50-digit decimal arithmetic.

    python3 closed_forms.py [golden.json]

Needs the standard library only. It shares no code with generate_golden.py: the generator differentiates definitions
automatically, this file writes every gradient out by hand, and both start from the numbers printed in the file.

With p = softmax(z / T_s), q = softmax(w / T_t), the gradient with respect to z carries the factor 1 / T_s:

    forward_kl         p - q
    reverse_kl         p (log(p / q) - KL(p || q))
    jensen_shannon     (1 - b) p (log(p / m) - KL(p || m)),  m = b q + (1 - b) p
    skew_forward_kl    (1 - a) p (sum p q / m - q / m),  m = a q + (1 - a) p
    skew_reverse_kl    p (l - sum p l),  l = log(p / m) - a p / m,  m = (1 - a) q + a p
    chi_squared        2 p (p / q - sum p^2 / q)
    alpha_beta         h - p sum h,  h = (p^(a + b) - q^a p^b) / a, and p^b log(p / q) at a = 0
    total_variation    1/2 p (s - sum p s),  s = sign(p - q)
    squared_hellinger  1/2 (p sum sqrt(p q) - sqrt(p q))
    entropy            -p (log p + entropy)
    cross_entropy      p - e_label
    teacher_guidance   p - e_y*
    policy_gradient    A (p - e_y)
    clipped_surrogate  r A (p - e_y) where the unclipped, unguarded branch is chosen, otherwise 0
    adaptive_kl        w (p - q) + (1 - w) p (log(p / q) - KL(p || q)), w the head's share of the gap |p - q|
    uniform_cross_entropy  p - 1 / N on the N entries that the student has
    z_loss             2 (log Z) p
    log_ratio_advantage, power_advantage, mixture_advantage    r A (p - e_y), with the A of each; r = 1 without a ratio
    vopd               A (p - e_y),  A = log q(y) - log p(y) + KL(p || q)
    clipped_importance clip(r) A (p - e_y)
    sequence_surrogate s A (p - e_y), s the sequence's ratio, where it is not clipped
    kl_estimator       log(p / q) (e_y - p) for k2, (1 - q / p) (e_y - p) for k3, at y

The value and the gradient of another system are factor times those of the objective named beside it, the value plus
what its excess says.
"""

import json
import sys
from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path

getcontext().prec = 50
HALF = Decimal("0.5")
GUARD = 20
TOLERANCE = Decimal("1e-12")


def exact(x):
    """The decimal value of a number of the file; "-inf" is a masked vocabulary entry."""
    return Decimal("-Infinity") if x == "-inf" else Decimal(x)


def log_softmax(logits, temperature):
    top = max(logits)
    shifted = [(x - top) / temperature for x in logits]
    normaliser = sum(x.exp() for x in shifted).ln()
    return [x - normaliser for x in shifted]


def kl(log_a, log_b):
    return sum((a.exp() * (a - b) for a, b in zip(log_a, log_b) if a.is_finite()), Decimal(0))


class Row:
    def __init__(self, case, i):
        width = case["vocabulary"]
        cut = slice(i * width, (i + 1) * width)
        self.width = width
        self.parameter = {k: exact(v) for k, v in case["parameters"].items()}
        self.student_temperature = exact(case["temperature"]["student"])
        self.teacher_temperature = exact(case["temperature"]["teacher"])
        if "temperatures" in case:
            self.student_temperature *= exact(case["temperatures"][i])
            self.teacher_temperature *= exact(case["temperatures"][i])
        self.z = [exact(x) for x in case["student"][cut]]
        self.w = [exact(x) for x in case["teacher"][cut]] if case["teacher"] is not None else None

        def at(field):
            return case[field][i] if case[field] is not None else None

        self.label, self.token, self.teacher_token = at("labels"), at("tokens"), at("teacher_tokens")
        self.advantage = exact(at("advantages")) if case["advantages"] is not None else None
        self.old_log_prob = exact(at("old_log_probs")) if case["old_log_probs"] is not None else None
        self.at_temperature(self.student_temperature, self.teacher_temperature)
        self.coefficient = exact(case["coefficients"][i]) if "coefficients" in case else None
        if at("teacher_log_probs") is not None:
            self.teacher_log_prob = exact(at("teacher_log_probs"))
        elif self.w is not None and self.token is not None:
            self.teacher_log_prob = self.lq[self.token]

    def at_temperature(self, student, teacher):
        self.temperature = student
        self.lp = log_softmax(self.z, student)
        self.p = [x.exp() for x in self.lp]
        if self.w is not None:
            self.lq = log_softmax(self.w, teacher)
            self.q = [x.exp() for x in self.lq]
        return self


# Every term gives (loss, [gradient times T_s]); the factor 1 / T_s is applied by with_temperature.

def with_temperature(row, loss, gradient):
    return loss, [g / row.temperature for g in gradient]


def at_token(row, y, factor):
    """factor (p - e_y): the gradient of -factor log p_y with a constant factor."""
    return [factor * (p - (1 if v == y else 0)) for v, p in enumerate(row.p)]


def forward_kl(row):
    return with_temperature(row, kl(row.lq, row.lp), [p - q for p, q in zip(row.p, row.q)])


def reverse_kl(row):
    k = kl(row.lp, row.lq)
    return with_temperature(row, k, [p * (a - b - k) if p else p for p, a, b in zip(row.p, row.lp, row.lq)])


def jensen_shannon(row):
    b = row.parameter["teacher_weight"]
    m = [b * q + (1 - b) * p for p, q in zip(row.p, row.q)]
    lm = [x.ln() if x else Decimal("-Infinity") for x in m]
    k = kl(row.lp, lm)
    return with_temperature(row, b * kl(row.lq, lm) + (1 - b) * k,
                            [(1 - b) * p * (a - c - k) if p else p for p, a, c in zip(row.p, row.lp, lm)])


def skew_forward_kl(row):
    a = row.parameter["share"]
    m = [a * q + (1 - a) * p for p, q in zip(row.p, row.q)]
    ratio = [q / x if x else x for q, x in zip(row.q, m)]
    mean = sum(p * r for p, r in zip(row.p, ratio))
    loss = kl(row.lq, [x.ln() if x else Decimal("-Infinity") for x in m])
    return with_temperature(row, loss, [(1 - a) * p * (mean - r) for p, r in zip(row.p, ratio)])


def skew_reverse_kl(row):
    a = row.parameter["share"]
    m = [(1 - a) * q + a * p for p, q in zip(row.p, row.q)]
    lm = [x.ln() if x else Decimal("-Infinity") for x in m]
    slope = [b - c - a * p / x if p else p for p, b, c, x in zip(row.p, row.lp, lm, m)]
    mean = sum(p * x for p, x in zip(row.p, slope))
    return with_temperature(row, kl(row.lp, lm), [p * (x - mean) for p, x in zip(row.p, slope)])


def chi_squared(row):
    ratio = [p / q if p else p for p, q in zip(row.p, row.q)]
    mean = sum(p * r for p, r in zip(row.p, ratio))
    loss = sum((p - q) ** 2 / q for p, q in zip(row.p, row.q) if q)
    return with_temperature(row, loss, [2 * p * (r - mean) for p, r in zip(row.p, ratio)])


def alpha_beta(row):
    a, b = row.parameter["alpha"], row.parameter["beta"]
    losses, h = [], []
    for p, q, lp, lq in zip(row.p, row.q, row.lp, row.lq):
        if not p:  # masked on both sides
            losses.append(p)
            h.append(p)
            continue
        x = lp - lq
        both, s = (a * lq + b * lp).exp(), a + b
        h.append((b * lp).exp() * x if a == 0 else ((s * lp).exp() - both) / a)
        if a == 0 and b == 0:
            losses.append(x * x / 2)
        elif a == 0:
            losses.append((b * lp).exp() * x / b - ((b * lp).exp() - (b * lq).exp()) / b**2)
        elif b == 0:
            losses.append(-(a * lq).exp() * x / a - ((a * lq).exp() - (a * lp).exp()) / a**2)
        else:
            losses.append((a / s * (s * lq).exp() + b / s * (s * lp).exp() - both) / (a * b))
    return with_temperature(row, sum(losses), [x - p * sum(h) for x, p in zip(h, row.p)])


def total_variation(row):
    s = [(p > q) - (p < q) for p, q in zip(row.p, row.q)]
    mean = sum(p * x for p, x in zip(row.p, s))
    return with_temperature(row, HALF * sum(abs(p - q) for p, q in zip(row.p, row.q)),
                            [HALF * p * (x - mean) for p, x in zip(row.p, s)])


def squared_hellinger(row):
    root = [(p * q).sqrt() for p, q in zip(row.p, row.q)]
    return with_temperature(row, 1 - sum(root), [HALF * (p * sum(root) - r) for p, r in zip(row.p, root)])


def entropy(row):
    h = -sum(p * x for p, x in zip(row.p, row.lp) if p)
    return with_temperature(row, h, [-p * (x + h) if p else p for p, x in zip(row.p, row.lp)])


def cross_entropy(row):
    return with_temperature(row, -row.lp[row.label], at_token(row, row.label, 1))


def teacher_guidance(row):
    y = row.w.index(max(row.w)) if row.teacher_token is None else row.teacher_token
    return with_temperature(row, -row.lp[y], at_token(row, y, 1))


def policy_gradient(row):
    return with_temperature(row, -row.advantage * row.lp[row.token], at_token(row, row.token, row.advantage))


def clipped_surrogate(row):
    a, lower, upper = row.advantage, row.parameter["lower"], row.parameter["upper"]
    log_ratio = row.lp[row.token] - row.old_log_prob
    guarded = abs(log_ratio) > GUARD
    r = max(min(log_ratio, Decimal(GUARD)), Decimal(-GUARD)).exp()
    loss, moves = -r * a, not guarded
    if (a > 0 and r > upper) or (a < 0 and r < lower):
        loss, moves = -(upper if a > 0 else lower) * a, False
    c = row.parameter.get("dual_clip")
    if c is not None and a < 0 and loss > -c * a:
        loss, moves = -c * a, False
    return with_temperature(row, loss, at_token(row, row.token, r * a if moves else 0))


def adaptive_kl(row):
    ranked = sorted(range(row.width), key=lambda v: -row.q[v])
    gap, head, mass = [abs(p - q) for p, q in zip(row.p, row.q)], Decimal(0), Decimal(0)
    for rank, v in enumerate(ranked):
        mass += row.q[v]
        # The sum of the whole vocabulary is 1 but for the last digits.
        if rank == 0 or mass <= row.parameter["head_mass"] or row.parameter["head_mass"] == 1:
            head += gap[v]
    share = head / sum(gap)
    return combination((share, forward_kl(row)), (1 - share, reverse_kl(row)))


def uniform_cross_entropy(row):
    present = [x.is_finite() for x in row.lp]
    share = Decimal(1) / sum(present)
    return with_temperature(row, -share * sum(x for x in row.lp if x.is_finite()),
                            [p - share if here else p for p, here in zip(row.p, present)])


def smoothed_cross_entropy(row):
    s = row.parameter["smoothing"]
    return combination((1 - s, cross_entropy(row)), (s, uniform_cross_entropy(row)))


def z_loss(row):
    top = max(row.z)
    log_z = top / row.temperature + sum(((x - top) / row.temperature).exp() for x in row.z).ln()
    return with_temperature(row, log_z * log_z, [2 * log_z * p for p in row.p])


def forward_kl_and_z_loss(row):
    return combination((1, forward_kl(row)), (row.parameter["coefficient"], z_loss(row)))


def held(x, floor=-GUARD, ceiling=GUARD):
    return max(min(x, Decimal(ceiling)), Decimal(floor))


def score_function(row, advantage, with_ratio):
    """-r A: the ratio has no slope where the guard holds it."""
    if not with_ratio:
        return with_temperature(row, -advantage, at_token(row, row.token, advantage))
    log_ratio = row.lp[row.token] - row.old_log_prob
    r = held(log_ratio).exp()
    return with_temperature(row, -r * advantage,
                            at_token(row, row.token, r * advantage if abs(log_ratio) <= GUARD else 0))


def sampling_log_prob(row, with_ratio):
    return row.old_log_prob if with_ratio else row.lp[row.token]


def log_ratio_advantage(row, with_ratio=False):
    found = row.teacher_log_prob - sampling_log_prob(row, with_ratio)
    advantage = held(found, row.parameter.get("floor", -GUARD), row.parameter.get("ceiling", GUARD))
    dropped = row.parameter.get("drops_outside") and advantage != found
    return score_function(row, 0 if dropped else advantage, with_ratio)


def log_ratio_advantage_with_ratio(row):
    return log_ratio_advantage(row, True)


def opd(row):
    return combination((row.parameter["coefficient"], log_ratio_advantage(row, True)))


def vopd(row):
    log_ratio = held(row.lp[row.token] - row.teacher_log_prob)
    part = with_temperature(row, log_ratio, at_token(row, row.token, kl(row.lp, row.lq) - log_ratio))
    return combination((row.parameter["coefficient"], part))


def power_advantage(row, with_ratio=False):
    a = row.parameter["exponent"]
    sampled = sampling_log_prob(row, with_ratio)
    return score_function(row, (a * row.teacher_log_prob).exp() - (a * sampled).exp(), with_ratio)


def power_advantage_with_ratio(row):
    return power_advantage(row, True)


def mixture_advantage(row, with_ratio=False):
    a = row.parameter["teacher_share"]
    sampled = sampling_log_prob(row, with_ratio)
    return score_function(row, (a * (row.teacher_log_prob - sampled).exp() + 1 - a).ln(), with_ratio)


def mixture_advantage_with_ratio(row):
    return mixture_advantage(row, True)


def clipped_importance(row):
    r = held(row.lp[row.token] - row.old_log_prob).exp()
    weight = row.advantage * max(min(r, row.parameter["upper"]), row.parameter["lower"])
    return with_temperature(row, -weight * row.lp[row.token], at_token(row, row.token, weight))


def sequence_surrogate(row):
    a, lower, upper = row.advantage, row.parameter["lower"], row.parameter["upper"]
    s = row.sequence_log_ratio.exp()
    if (a > 0 and s > upper) or (a < 0 and s < lower):
        return with_temperature(row, -(upper if a > 0 else lower) * a, at_token(row, row.token, 0))
    return with_temperature(row, -s * a, at_token(row, row.token, s * a))


def kl_estimator(row):
    x = held(row.lp[row.token] - row.teacher_log_prob)
    excess = (-x).exp() - 1
    value = {1: x, 2: x * x / 2, 3: excess + x}[int(row.parameter["value"])]
    slope = {2: x, 3: -excess}[int(row.parameter["gradient"])]
    return with_temperature(row, value, at_token(row, row.token, -slope))


def kdrl(row):
    row.parameter.update(value=Decimal(2), gradient=Decimal(2))
    return combination((1, clipped_surrogate(row)), (row.parameter["coefficient"], kl_estimator(row)))


def gkd(row):
    t = row.parameter["temperature"]
    return jensen_shannon(row.at_temperature(t, t))


def minillm(row):
    return combination((row.parameter["surrogate_weight"], clipped_surrogate(row)),
                       (row.parameter["single_step"], reverse_kl(row)))


def distillm(row):
    r = row.parameter["ratio"]
    return combination((1 - r, cross_entropy(row)), (r, skew_reverse_kl(row)))


def abkd(row):
    r = row.parameter["ratio"]
    return combination((1 - r, cross_entropy(row)), (r, alpha_beta(row)))


def gated_tgpo(row):
    return combination((1, clipped_surrogate(row)),
                       (row.coefficient * row.parameter["coefficient"], teacher_guidance(row)))


def gated_forward_kl(row):
    return combination((1, reverse_kl(row)), (row.coefficient * row.parameter["coefficient"], forward_kl(row)))


def combination(*parts):
    loss = sum(c * value for c, (value, _) in parts)
    return loss, [sum(c * g for c, g in zip([c for c, _ in parts], column))
                  for column in zip(*(gradient for _, (_, gradient) in parts))]


def tgpo(row):
    return combination((1, clipped_surrogate(row)), (row.parameter["coefficient"], teacher_guidance(row)))


def forward_reverse_jensen(row):
    return combination(*((row.parameter[f.__name__], f(row)) for f in (forward_kl, reverse_kl, jensen_shannon)))


def hinton(row):
    hard = cross_entropy(row)
    t = row.parameter["temperature"]
    return combination((row.parameter["hard"], hard),
                       (row.parameter["soft"] * t * t, forward_kl(row.at_temperature(t, t))))


OBJECTIVES = {f.__name__: f for f in (
    forward_kl, reverse_kl, jensen_shannon, skew_forward_kl, skew_reverse_kl, chi_squared, alpha_beta,
    total_variation, squared_hellinger, entropy, cross_entropy,
    teacher_guidance, policy_gradient, clipped_surrogate, tgpo, forward_reverse_jensen, hinton, adaptive_kl,
    uniform_cross_entropy, smoothed_cross_entropy, z_loss, forward_kl_and_z_loss, log_ratio_advantage,
    log_ratio_advantage_with_ratio, opd, vopd, power_advantage, power_advantage_with_ratio, mixture_advantage,
    mixture_advantage_with_ratio, clipped_importance, sequence_surrogate, kl_estimator, kdrl, gkd, minillm, distillm,
    abkd, gated_tgpo, gated_forward_kl)}

# What a system's value has beside the objective's, per row.
EXCESS = {
    "teacher_entropy": lambda row: -sum(q * x for q, x in zip(row.q, row.lq) if q),
    "reverse_kl": lambda row: kl(row.lp, row.lq),
    "surrogate": lambda row: (row.lp[row.token] - row.teacher_log_prob) * (row.lp[row.token] - 1),
}


def effective_weights(case):
    w = [exact(x) for x in case["weights"]] if case["weights"] is not None else [Decimal(1)] * case["rows"]
    labels = case["labels"] if case["labels"] is not None else [0] * case["rows"]
    return [Decimal(0) if label == -100 else x for x, label in zip(w, labels)]


def row_coefficients(case):
    """c with loss = sum_i c_i l_i."""
    w, name = effective_weights(case), case["reduction"]
    given = exact(case["denominator"]) if case["denominator"] is not None else None
    if not any(w):
        return w
    if name == "token_mean":
        return [x / (sum(w) if given is None else given) for x in w]
    if name == "token_sum":
        return [x / (1 if given is None else given) for x in w]
    if name == "normalized_by":
        return [x / given for x in w]
    o = case["sequence_offsets"]
    totals = [sum(w[a:b]) for a, b in zip(o, o[1:])]
    sequences = sum(1 for t in totals if t) if given is None else given
    if name == "sequence_mean_of_sums":
        return [x / sequences for x in w]
    if name == "sequence_mean":
        return [x / (t * sequences) if t else x
                for a, b, t in zip(o, o[1:], totals) for x in w[a:b]]
    raise ValueError(f"unknown reduction {name}")


def sequence_log_ratio(case, i):
    """The mean of log p(y) - log p_old(y) over the active rows of row i's sequence."""
    o, w = case["sequence_offsets"], effective_weights(case)
    begin, end = next((a, b) for a, b in zip(o, o[1:]) if a <= i < b)
    total = Decimal(0)
    for j in range(begin, end):
        if w[j]:
            row = Row(case, j)
            total += w[j] * (row.lp[row.token] - row.old_log_prob)
    return total / sum(w[begin:end])


def evaluate(case):
    row_losses, gradient, loss = [], [], Decimal(0)
    weights = effective_weights(case)
    for i, c in enumerate(row_coefficients(case)):
        if not weights[i]:
            row_losses.append(Decimal(0))
            gradient += [Decimal(0)] * case["vocabulary"]
            continue
        row = Row(case, i)
        if case["objective"] == "sequence_surrogate":
            row.sequence_log_ratio = sequence_log_ratio(case, i)
        value, g = OBJECTIVES[case["objective"]](row)
        row_losses.append(value)
        gradient += [c * x for x in g]
        loss += c * value
    return loss, row_losses, gradient


def evaluate_system(case):
    """(loss, excess, gradient) of another system's function."""
    loss, _, gradient = evaluate(case)
    factor, excess = exact(case["factor"]), Decimal(0)
    if case["excess_of"] is not None:
        weights = effective_weights(case)
        excess = exact(case["excess_times"]) * sum(c * EXCESS[case["excess_of"]](Row(case, i))
                                                   for i, c in enumerate(row_coefficients(case)) if weights[i])
    return factor * loss + excess, excess, [factor * g for g in gradient]


def deviation(found, expected):
    """Absolute error below magnitude one, relative error above."""
    return abs(Decimal(found) - expected) / max(Decimal(1), abs(expected))


def expected_advantages(case):
    out = []
    o = case["group_offsets"]
    for group in (case["rewards"][a:b] for a, b in zip(o, o[1:])):
        r = [Fraction(x) for x in group]
        centred = [x - sum(r) / len(r) for x in r]
        if not any(centred) or not case["divide_by_std"]:
            out += [float(x) for x in centred]
            continue
        variance = sum(x * x for x in centred) / (len(r) - (case["std"] == "sample"))
        root = (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
        scale = root + exact(case["epsilon"])
        out += [float(Decimal(x.numerator) / Decimal(x.denominator) / scale) for x in centred]
    return out


def verify(document):
    """Asserts every value of the file; returns the largest deviations found, by kind."""
    worst = {"row_losses": Decimal(0), "loss": Decimal(0), "gradient": Decimal(0), "relative_row_loss": Decimal(0),
             "systems": Decimal(0)}
    names = [case["name"] for case in [*document["cases"], *document["systems"]]]
    assert len(set(names)) == len(names), "case names repeat"
    for case in document["cases"]:
        loss, row_losses, gradient = evaluate(case)
        assert len(case["gradient"]) == len(gradient) and len(case["row_losses"]) == len(row_losses), case["name"]
        for key, found, expected in (("row_losses", case["row_losses"], row_losses),
                                     ("loss", [case["loss"]], [loss]),
                                     ("gradient", case["gradient"], gradient)):
            error = max(deviation(a, b) for a, b in zip(found, expected))
            assert error < TOLERANCE, f"{case['name']}: {key} is off by {error:.2e}"
            worst[key] = max(worst[key], error)
        for found, expected in zip(case["row_losses"], row_losses):
            if abs(expected) > Decimal("1e-9"):
                worst["relative_row_loss"] = max(worst["relative_row_loss"], abs(Decimal(found) / expected - 1))
    for case in document["systems"]:
        loss, excess, gradient = evaluate_system(case)
        assert len(case["gradient"]) == len(gradient), case["name"]
        for found, expected in ((case["loss"], loss), (case["excess"], excess), *zip(case["gradient"], gradient)):
            error = deviation(found, expected)
            assert error < TOLERANCE, f"{case['name']}: off by {error:.2e}"
            worst["systems"] = max(worst["systems"], error)
    for case in document["advantages"]:
        for found, expected in zip(case["expected"], expected_advantages(case), strict=True):
            assert abs(found - expected) < 1e-12 * max(1.0, abs(expected)), case
    for case in document["annealing"]:
        exact_value = max(Fraction(str(case["initial"])) - (case["step"] - 1) * Fraction(str(case["decrement"])),
                          Fraction(str(case["floor"])))
        assert abs(case["expected"] - float(exact_value)) < 1e-18, case
    return {k: float(v) for k, v in worst.items()}


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("golden.json")
    for key, value in verify(json.loads(path.read_text())).items():
        print(f"largest deviation, {key}: {value:.2e}")
