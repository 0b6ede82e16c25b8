"""Peers of the CUDA backend that live in Python: PyTorch as it is written, through torch.compile, and Liger-Kernel's losses.

usage: peers.py [--benchmark_filter=REGEX] [--benchmark_out=FILE.json] [--seconds=N]
                        measures on the GPU, and begins nothing after N seconds; ./run bench_cuda and ./run gpu call it
       peers.py --check compares the formulas with closed forms, on the CPU

The table is bench_cuda's, with its shapes, logits of the same kind and its columns: a loss summed over rows, with its gradient with
respect to the student's logits. GB/s counts every input read once and the gradient written once, whatever a peer moves; `of copy` is
that speed over that of a copy from device to device of the same buffers. Before it is timed, a peer's loss and gradient are
compared with PyTorch's in double.

What is not here is not measured, and the table and the JSON say so. The JSON is google-benchmark's, written anew after every run;
its context has what is left out, and why. The exit status is 77 where nothing was measured, or nothing compared.
Facts of Liger-Kernel are those of src/liger_kernel/transformers/jsd.py and kl_div.py (linkedin/Liger-Kernel, 1a09b04, 0e29a03): both
take log-probabilities, the student's first, in LigerJSD's letters q; LigerJSD is the mean over rows, and its beta the teacher's weight.
"""

import argparse
import json
import math
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "pytorch"))
from formulas import TEACHER_WEIGHT, check, check_closed_forms, eager, loss_and_gradient  # noqa: E402

SKIPPED = 77
BEGIN = time.monotonic()  # before PyTorch is loaded, which takes its time
VOCABULARIES = (1000, 32000, 128256, 151936, 262144)
ROWS = (1, 8, 64, 1024, 4096)
TYPES = {"float": "float32", "half": "float16", "bfloat16": "bfloat16"}
COLUMNS = (("us/call", 10, 1), ("ns/entry", 10, 4), ("GB/s", 8, 0), ("of copy", 8, 2))

# Relative, of the loss and of the gradient's norm: the rounding of 16-bit log-probabilities and gradients included.
AGREED = {"float": 1e-3, "half": 3e-2, "bfloat16": 3e-1}


# ---- the peers ----


def liger(torch):
    """{objective: loss(z, w)} on Liger-Kernel's modules, which begin at log-probabilities."""
    from liger_kernel.transformers import LigerJSD, LigerKLDIVLoss
    divergence, symmetric = LigerKLDIVLoss(reduction="sum", log_target=True), LigerJSD(beta=TEACHER_WEIGHT)
    return {"forward_kl": lambda z, w: divergence(torch.log_softmax(z, -1), torch.log_softmax(w, -1)),
            "jensen_shannon": lambda z, w: symmetric(torch.log_softmax(z, -1), torch.log_softmax(w, -1)) * z.shape[0]}


def peers(torch):
    """[(name, {objective: loss}, why it is left out)]"""
    found = [("PyTorch", eager(torch), None)]
    if not hasattr(torch, "compile"):
        found.append(("torch.compile", {}, f"PyTorch {torch.__version__} has no torch.compile"))
    else:
        found.append(("torch.compile", {name: torch.compile(loss) for name, loss in eager(torch).items()}, None))
    try:
        found.append(("Liger-Kernel", liger(torch), None))
    except ImportError as error:
        found.append(("Liger-Kernel", {}, f"not installed: {error}"))
    return found


# ---- measurement ----


def seconds(torch, calls, work):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(calls):
        work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3


def calls_of(torch, work):
    work()  # compiled, and its memory in the allocator's hands
    torch.cuda.synchronize()
    return max(1, min(1000, int(2e-3 / seconds(torch, 1, work))))


def measure(torch, work, copy, entries, element_bytes, least_seconds=0.1):
    calls, copies = calls_of(torch, work), calls_of(torch, copy)
    working = copying = 0.0
    batches = 0
    while working < least_seconds:  # copies before and after: a device's clock drifts
        copying += 0.5 * seconds(torch, copies, copy)
        working += seconds(torch, calls, work)
        copying += 0.5 * seconds(torch, copies, copy)
        batches += 1
    call, of_copy = working / (batches * calls), copying / (batches * copies)
    speed, speed_of_copy = 3 * entries * element_bytes / call, 2 * entries * element_bytes / of_copy
    return {"us/call": call * 1e6, "ns/entry": call / entries * 1e9, "GB/s": speed * 1e-9, "of copy": speed / speed_of_copy}


def difference(torch, name, loss, z, w):
    """How far a peer's loss and gradient are from PyTorch's in double, on the first rows."""
    z, w = z[:8], w[:8]
    found = loss_and_gradient(loss, z, w)
    value, gradient = loss_and_gradient(eager(torch)[name], z.double(), w.double())
    norm = torch.linalg.vector_norm
    return max(abs(float(found[0]) / float(value) - 1), float(norm(found[1].double() - gradient) / norm(gradient)))


def header(question):
    return f"\n{question:<44}" + "".join(f" {name:>{width}}" for name, width, _ in COLUMNS)


def line(name, counters):
    numbers = (counters if isinstance(counters, str) else
               " ".join(f"{counters[column]:{width}.{digits}f}" for column, width, digits in COLUMNS))
    return f"  {name:<42} {numbers}"


class Results:
    """The runs so far, in the file that they are kept in, and until when another begins."""

    def __init__(self, context, path, seconds):
        self.context, self.path, self.runs = context, path, []
        self.end = math.inf if seconds is None else BEGIN + seconds

    def add(self, name, counters):
        failed = {"error_occurred": True, "error_message": counters}
        self.runs.append({"name": name, **(failed if isinstance(counters, str) else counters)})
        self.write()

    def begins_another(self):
        if time.monotonic() <= self.end:
            return True
        self.context["not begun in time"] = self.context.get("not begun in time", 0) + 1
        self.write()
        return False

    def write(self):
        if self.path is not None:
            with open(self.path, "w", encoding="utf-8") as file:
                json.dump({"context": self.context, "benchmarks": self.runs}, file, indent=1)

    def measured(self):
        return any("error_occurred" not in run for run in self.runs)


def measure_shape(torch, all_peers, type_name, rows, vocabulary, wanted, results, device="cuda"):
    question = f"{type_name}, {rows} x {vocabulary}"
    names = [(f"{objective}, {name}", losses, objective, why) for objective in ("forward_kl", "reverse_kl", "jensen_shannon")
             for name, losses, why in all_peers if why is None and objective in losses]
    names = [one for one in names if re.search(wanted, f"{question}/{one[0]}")]
    if not names:
        return
    print(header(question))
    try:
        dtype = getattr(torch, TYPES[type_name])
        generator = torch.Generator(device).manual_seed(20260513)
        normal = lambda scale: scale * torch.randn(rows, vocabulary, generator=generator, device=device)
        base = normal(3.0)
        z, w = base.to(dtype), (base + normal(0.3)).to(dtype)  # neighbours: KL about 0.05
        destination = torch.empty_like(z)
    except torch.cuda.OutOfMemoryError:
        print(line("", "out of the device's memory"))
        for name, *_ in names:
            results.add(f"{question}/{name}", "CUDA out of memory")
        return
    for name, losses, objective, _ in names:
        if not results.begins_another():
            print(line(name, "left out: the time is over"))
            continue
        try:
            apart = difference(torch, objective, losses[objective], z, w)
            if not apart < AGREED[type_name]:
                counters = f"its answer differs from PyTorch's in double by {apart:.1e}"
            else:
                counters = measure(torch, lambda: loss_and_gradient(losses[objective], z, w), lambda: destination.copy_(z),
                                   rows * vocabulary, z.element_size())
        except Exception as error:  # the device's memory above all; what fails is a line of the table
            counters = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        results.add(f"{question}/{name}", counters)
        print(line(name, counters), flush=True)
        torch.cuda.empty_cache()


def measure_all(torch, wanted, out, seconds):
    all_peers = peers(torch)
    about = torch.cuda.get_device_properties(0)
    device = (f"{about.name}, compute capability {about.major}.{about.minor}, {about.multi_processor_count} multiprocessors, "
              f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}")
    print(f"Loss and gradient on {device}.")
    left_out = {name: why for name, _, why in all_peers if why is not None}
    for name, why in left_out.items():
        print(f"{name} is left out: {why}")
    results = Results({"device": device, "left out": left_out}, out, seconds)
    for type_name in TYPES:
        for vocabulary in VOCABULARIES:
            for rows in ROWS:
                measure_shape(torch, all_peers, type_name, rows, vocabulary, wanted, results)
    results.write()
    return 0 if results.measured() else SKIPPED


# ---- the check ----


def check_columns():
    row = line("forward_kl, PyTorch", {"us/call": 12.34, "ns/entry": 0.5, "GB/s": 1000.0, "of copy": 0.5})
    assert len(row) == len(header("x")) - 1, "the table's columns"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--benchmark_filter", default="")
    parser.add_argument("--benchmark_out")
    parser.add_argument("--seconds", type=float)
    arguments, _ = parser.parse_known_args()  # google-benchmark's other flags are bench_cuda's
    if arguments.check:
        check_closed_forms()
        check_columns()
    try:
        import torch
    except ImportError as error:
        print(f"{'not compared with PyTorch' if arguments.check else 'no Python peer is measured'}: {error}")
        return SKIPPED
    if arguments.check:
        check(torch)
        return 0
    if not torch.cuda.is_available():
        print(f"no Python peer is measured: PyTorch {torch.__version__} finds no CUDA device here")
        return SKIPPED
    return measure_all(torch, arguments.benchmark_filter, arguments.benchmark_out, arguments.seconds)


if __name__ == "__main__":
    sys.exit(main())
