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
        self.z = [exact(x) for x in case["student"][cut]]
        self.w = [exact(x) for x in case["teacher"][cut]] if case["teacher"] is not None else None

        def at(field):
            return case[field][i] if case[field] is not None else None

        self.label, self.token, self.teacher_token = at("labels"), at("tokens"), at("teacher_tokens")
        self.advantage = exact(at("advantages")) if case["advantages"] is not None else None
        self.old_log_prob = exact(at("old_log_probs")) if case["old_log_probs"] is not None else None
        self.at_temperature(self.student_temperature, self.teacher_temperature)

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
    teacher_guidance, policy_gradient, clipped_surrogate, tgpo, forward_reverse_jensen, hinton)}


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


def evaluate(case):
    row_losses, gradient, loss = [], [], Decimal(0)
    weights = effective_weights(case)
    for i, c in enumerate(row_coefficients(case)):
        if not weights[i]:
            row_losses.append(Decimal(0))
            gradient += [Decimal(0)] * case["vocabulary"]
            continue
        value, g = OBJECTIVES[case["objective"]](Row(case, i))
        row_losses.append(value)
        gradient += [c * x for x in g]
        loss += c * value
    return loss, row_losses, gradient


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
    worst = {"row_losses": Decimal(0), "loss": Decimal(0), "gradient": Decimal(0), "relative_row_loss": Decimal(0)}
    names = [case["name"] for case in document["cases"]]
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
