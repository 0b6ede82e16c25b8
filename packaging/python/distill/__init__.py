"""Distillation objectives for language models, from Python.

`distill.torch` has losses of PyTorch's tensors, as operators of its autograd; `distill.numpy` has losses of NumPy's arrays and of what DLPack
exchanges. An objective is an expression of C++, "0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}"; it is compiled once, at its first use, and
kept in a cache (distill.build).
"""

__version__ = "0.1.0"


class InvalidInput(ValueError):
    """The library refused a call; no output was written. The message begins with `distill:`."""


class CompileError(RuntimeError):
    """An objective could not be compiled."""
