"""The objective of these tests as PyTorch's own expression, in double."""

import torch

import distill.torch

loss = distill.torch.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")

# The contract's, as tests/support/tolerances.hpp has them; of a 16-bit gradient the roundings: when it is kept, times a factor, and those
# of PyTorch's own.
LOSS_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-5, torch.bfloat16: 1e-5}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2.0**-9, torch.bfloat16: 2.0**-6}


def rows(student, teacher):
    log_p, log_q = student.double().log_softmax(-1), teacher.double().log_softmax(-1)
    p, q = log_p.exp(), log_q.exp()
    log_m = (0.5 * (p + q)).log()
    return 0.7 * (p * (log_p - log_q)).sum(-1) + 0.15 * ((q * (log_q - log_m)).sum(-1) + (p * (log_p - log_m)).sum(-1))


def leaf(values, kind):
    return values.to(kind).detach().clone().requires_grad_()


def gradient_of(of, student):
    """The graph stays, for another one."""
    return torch.autograd.grad(of, student, retain_graph=True)[0]


def distance(found, expected):
    found, expected = found.detach().double(), expected.detach().double()
    return ((found - expected).norm() / expected.norm()).item()
