"""The objectives of these tests as NumPy's expressions, in double, with their gradients."""

import numpy as np

OBJECTIVE = "0.7 * reverse_kl{} + 0.3 * forward_kl{}"


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def rows_and_gradients(student, teacher):
    """Every row's loss and its gradient: dz = h - p sum(h), with h the derivative with respect to log p."""
    log_p, log_q = log_softmax(student.astype(np.float64)), log_softmax(teacher.astype(np.float64))
    p, q = np.exp(log_p), np.exp(log_q)
    rows = (0.7 * p * (log_p - log_q) + 0.3 * q * (log_q - log_p)).sum(-1)
    h = 0.7 * p * (log_p - log_q + 1) - 0.3 * q
    return rows, h - p * h.sum(-1, keepdims=True)


def mean(student, teacher, weights=None):
    """The mean over the rows and its gradient."""
    rows, gradients = rows_and_gradients(student, teacher)
    weights = np.ones_like(rows) if weights is None else weights.reshape(rows.shape).astype(np.float64)
    return (rows * weights).sum() / weights.sum(), gradients * weights[..., None] / weights.sum()
