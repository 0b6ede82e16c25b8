"""The objectives as PyTorch's users write them, and their closed forms: what the peers in Python have in common.

A loss is summed over rows, and differentiated with respect to the student's logits.
"""

import math

TEACHER_WEIGHT = 0.5
MIXTURE = "0.7 reverse_kl + 0.3 jensen_shannon"
MIXTURE_WEIGHTS = {"reverse_kl": 0.7, "jensen_shannon": 0.3}


# ---- by the definition ----


def closed_form(name, z, w):
    """(loss, gradient) of one row of logits, in Python's own arithmetic."""
    if name == MIXTURE:
        parts = [(weight, closed_form(part, z, w)) for part, weight in MIXTURE_WEIGHTS.items()]
        return (math.fsum(weight * loss for weight, (loss, _) in parts),
                [math.fsum(weight * slope for weight, slope in zip(MIXTURE_WEIGHTS.values(), slopes))
                 for slopes in zip(*[gradient for _, (_, gradient) in parts])])

    def log_softmax(x):
        largest = max(x)
        log_sum = largest + math.log(math.fsum(math.exp(v - largest) for v in x))
        return [v - log_sum for v in x]

    log_p, log_q = log_softmax(z), log_softmax(w)
    p, q = [math.exp(v) for v in log_p], [math.exp(v) for v in log_q]
    if name == "forward_kl":
        return math.fsum(b * (lb - la) for b, la, lb in zip(q, log_p, log_q)), [a - b for a, b in zip(p, q)]
    if name == "reverse_kl":
        slopes = [la - lb for la, lb in zip(log_p, log_q)]
        loss = math.fsum(a * s for a, s in zip(p, slopes))
    else:
        log_m = [math.log(TEACHER_WEIGHT * b + (1 - TEACHER_WEIGHT) * a) for a, b in zip(p, q)]
        slopes = [(1 - TEACHER_WEIGHT) * (la - lm) for la, lm in zip(log_p, log_m)]
        loss = TEACHER_WEIGHT * math.fsum(b * (lb - lm) for b, lb, lm in zip(q, log_q, log_m))
        loss += math.fsum(a * s for a, s in zip(p, slopes))
    mean = math.fsum(a * s for a, s in zip(p, slopes))
    return loss, [a * (s - mean) for a, s in zip(p, slopes)]


# ---- by PyTorch's operations ----


def eager(torch):
    """{objective: loss(z, w)} as it is usually written, in fp32 from log-softmax on."""
    def logs(z, w):
        working = torch.float64 if z.dtype == torch.float64 else torch.float32
        return torch.log_softmax(z, -1, dtype=working), torch.log_softmax(w, -1, dtype=working)

    def kl(log_target, log_input):
        return torch.nn.functional.kl_div(log_input, log_target, reduction="sum", log_target=True)

    def forward_kl(z, w):
        log_p, log_q = logs(z, w)
        return kl(log_q, log_p)

    def reverse_kl(z, w):
        log_p, log_q = logs(z, w)
        return kl(log_p, log_q)

    def jensen_shannon_of(log_p, log_q):
        log_m = torch.logsumexp(torch.stack([log_q + math.log(TEACHER_WEIGHT), log_p + math.log(1 - TEACHER_WEIGHT)]), 0)
        return TEACHER_WEIGHT * kl(log_q, log_m) + (1 - TEACHER_WEIGHT) * kl(log_p, log_m)

    def jensen_shannon(z, w):
        return jensen_shannon_of(*logs(z, w))

    def mixture(z, w):
        log_p, log_q = logs(z, w)
        return (MIXTURE_WEIGHTS["reverse_kl"] * kl(log_p, log_q) +
                MIXTURE_WEIGHTS["jensen_shannon"] * jensen_shannon_of(log_p, log_q))

    return {"forward_kl": forward_kl, "reverse_kl": reverse_kl, "jensen_shannon": jensen_shannon, MIXTURE: mixture}


def loss_and_gradient(loss, z, w):
    student = z.detach().requires_grad_()
    value = loss(student, w)
    value.backward()
    return value.detach(), student.grad


# ---- the check ----


def check_closed_forms():
    """The closed forms against central differences of their own losses; at z = w all is 0."""
    z, w = [0.3, -1.2, 2.0, 0.1, -0.4], [1.0, 0.2, -0.7, 0.5, 0.0]
    for name in ("forward_kl", "reverse_kl", "jensen_shannon", MIXTURE):
        loss, gradient = closed_form(name, z, w)
        assert loss > 0 and abs(math.fsum(gradient)) < 1e-14, name
        for j, slope in enumerate(gradient):
            moved = [closed_form(name, z[:j] + [z[j] + step] + z[j + 1:], w)[0] for step in (1e-5, -1e-5)]
            assert abs((moved[0] - moved[1]) / 2e-5 - slope) < 1e-9, (name, j)
        at_equal, no_gradient = closed_form(name, z, z)
        assert abs(at_equal) < 1e-15 and max(map(abs, no_gradient)) < 1e-15, name


def check(torch):
    generator = torch.Generator().manual_seed(20260513)
    z, w = (torch.randn(3, 11, generator=generator, dtype=torch.float64) * 2 for _ in range(2))
    for name, loss in eager(torch).items():
        value, gradient = loss_and_gradient(loss, z, w)
        expected = [closed_form(name, a, b) for a, b in zip(z.tolist(), w.tolist())]
        assert abs(float(value) - math.fsum(row[0] for row in expected)) < 1e-12, name
        largest = max(abs(found - right) for rows, (_, exact) in zip(gradient.tolist(), expected)
                      for found, right in zip(rows, exact))
        assert largest < 1e-13, (name, largest)
        print(f"{name}: PyTorch's loss and gradient are the closed form's")
