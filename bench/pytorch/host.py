"""PyTorch on the CPU as a peer of the benchmarks in C++: eager, and through torch.compile, on one thread.

usage: host.py FOLDER ROWS VOCABULARY     started by bench/peers/pytorch.cpp

FOLDER has the files `student` and `teacher`: logits as floats. The first line written is PyTorch's version; then every line read is
answered by a line, of which `error: MESSAGE` says what failed:

    run WAY OBJECTIVE     makes the mean loss over rows and its gradient; the loss. WAY: eager or compiled
    gradient              writes the gradient of the last run to FOLDER/gradient; `written`
    peak WAY OBJECTIVE    the memory that a run holds beside the logits, in MB; `nan` where the system does not say
"""

import ctypes
import logging
import math
import os
import pathlib
import sys
import warnings

from formulas import eager, loss_and_gradient


class Host:
    def __init__(self, torch, folder, rows, vocabulary):
        torch.set_num_threads(1)
        self.torch, self.folder = torch, folder
        # A copy: memory that is the process's own, as a training program's is.
        self.student, self.teacher = (torch.from_file(str(folder / name), size=rows * vocabulary, dtype=torch.float32).clone()
                                      .view(rows, vocabulary) for name in ("student", "teacher"))
        means = {name: (lambda z, w, loss=loss: loss(z, w) / rows) for name, loss in eager(torch).items()}
        self.losses = {"eager": means, "compiled": {name: torch.compile(loss) for name, loss in means.items()}}
        self.kept = None

    def run(self, what):
        way, objective = what.split(maxsplit=1)
        self.kept = None  # the last gradient, as a training step frees it
        value, self.kept = loss_and_gradient(self.losses[way][objective], self.student, self.teacher)
        return float(value)

    def gradient(self, _):
        file = self.torch.from_file(str(self.folder / "gradient"), shared=True, size=self.kept.numel(), dtype=self.torch.float32)
        file.copy_(self.kept.view(-1))
        return "written"

    def peak(self, what):
        self.kept = None
        ctypes.CDLL(None).malloc_trim(0)  # what earlier runs freed is not at hand
        try:
            pathlib.Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return math.nan
        before = megabytes("VmRSS")
        self.run(what)
        return megabytes("VmHWM") - before


def megabytes(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return math.nan


def first_line(failure):
    return f"error: {type(failure).__name__}: {(str(failure).splitlines() or [''])[0]}"


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder, rows, vocabulary = sys.argv[1:]
    try:
        import torch
        host = Host(torch, pathlib.Path(folder), int(rows), int(vocabulary))
        print(torch.__version__, file=answers, flush=True)
    except Exception as failure:
        print(first_line(failure), file=answers, flush=True)
        return
    for line in sys.stdin:
        request, _, what = line.strip().partition(" ")
        try:
            answer = {"run": host.run, "gradient": host.gradient, "peak": host.peak}[request](what)
        except Exception as failure:
            answer = first_line(failure)
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
