"""PyTorch on the CPU as a peer of the loss through heads: hidden states and weights in, the mean forward KL and the gradients of the
student's hidden states and weights out.

usage: heads.py     started by bench/heads.cpp

The first line written is PyTorch's version; then every line read is answered by a line, of which `error: MESSAGE` says what failed:

    shape ROWS VOCABULARY WIDTH THREADS     makes the tensors; `made`
    run WAY                                 the loss. WAY: eager, compiled, or chunked: eager on 128 rows at a time
    peak WAY                                the memory that a run holds beside the tensors and their gradients, in MB
"""

import ctypes
import math
import os
import pathlib
import sys
import warnings

from formulas import eager
from host import first_line, megabytes

ROWS_AT_ONCE = 128


class Heads:
    def __init__(self, torch):
        self.torch = torch
        forward_kl = eager(torch)["forward_kl"]
        linear = torch.nn.functional.linear

        def loss(h, w, teacher_h, teacher_w):
            with torch.no_grad():
                teacher = linear(teacher_h, teacher_w)
            return forward_kl(linear(h, w), teacher)

        compiled = torch.compile(loss)
        self.losses = {"eager": (loss, None), "compiled": (compiled, None), "chunked": (loss, ROWS_AT_ONCE)}

    def shape(self, what):
        rows, vocabulary, width, threads = map(int, what.split())
        self.torch.set_num_threads(threads)
        self.torch.manual_seed(20260513)
        self.teacher_h = self.torch.randn(rows, width)
        self.teacher_w = self.torch.randn(vocabulary, width) * (3.0 / math.sqrt(width))
        self.h = self.teacher_h.clone().requires_grad_()
        self.w = (self.teacher_w + self.torch.randn(vocabulary, width) * (0.1 / math.sqrt(width))).requires_grad_()
        # Gradients are outputs: they have memory before a run, and keep it.
        self.h.grad, self.w.grad = self.torch.zeros_like(self.h), self.torch.zeros_like(self.w)
        return "made"

    def run(self, way):
        loss, at_once = self.losses[way]
        self.h.grad.zero_()
        self.w.grad.zero_()
        rows, total = len(self.h), 0.0
        for first in range(0, rows, at_once or rows):
            part = slice(first, first + (at_once or rows))
            value = loss(self.h[part], self.w, self.teacher_h[part], self.teacher_w) / rows
            value.backward()
            total += float(value.detach())
        return total

    def peak(self, way):
        ctypes.CDLL(None).malloc_trim(0)  # what earlier runs freed is not at hand
        try:
            pathlib.Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return math.nan
        before = megabytes("VmRSS")
        self.run(way)
        return megabytes("VmHWM") - before


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    warnings.simplefilter("ignore")
    try:
        import torch
        heads = Heads(torch)
        print(torch.__version__, file=answers, flush=True)
    except Exception as failure:
        print(first_line(failure), file=answers, flush=True)
        return
    for line in sys.stdin:
        request, _, what = line.strip().partition(" ")
        try:
            answer = {"shape": heads.shape, "run": heads.run, "peak": heads.peak}[request](what)
        except Exception as failure:
            answer = first_line(failure)
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
