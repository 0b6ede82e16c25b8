"""What a machine with a GPU says of this checkout, in under ten minutes: `./run gpu` calls it.

usage: gpu.py probe                          whether there is nvcc and a device
       gpu.py measure [OPTION...]            builds, runs the suite gpu, compute-sanitizer and the benchmarks with their peers

       --out FOLDER                          of gpu.json, gpu.md, a log of every step and the build: build/gpu
       --seconds N                           all of it ends within so long: 570
       --rehearsal BUILD                     the same at tiny sizes, with programs for the CPU that BUILD's build.ninja makes
       --peers SCRIPT, --sanitizer PROGRAM   in the place of bench/cuda/peers.py and compute-sanitizer

gpu.json has every step with its outcome: passed, failed or left out, and why. gpu.md is what bench/cuda/page.py makes of it for
docs/cuda.md. A step that does not end in time, or fails, keeps no other from running. The exit status is 0 where nothing failed, 1
where something did, and 77 where there is no nvcc or no device.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/cuda"))
import page  # noqa: E402

NO_DEVICE = 77
SANITIZER_FOUND = 86

# The part of the time after which each step has ended. What one does not need, the next ones have.
ENDS = {"probe": 0.10, "configure": 0.16, "build": 0.56, "suite": 0.63, "examples": 0.66, "catalogue": 0.75, "racecheck": 0.79,
        "synccheck": 0.81, "memcheck": 0.86, "bench": 0.93, "peers": 1.0}

TARGETS = {"with_device": "tests/gpu/with_device", "test_gpu": "tests/gpu/test_gpu",
           "test_gpu_catalogue": "tests/gpu/test_gpu_catalogue", "gpu_cuda_stream": "tests/gpu/gpu_cuda_stream",
           "gpu_backend_switch": "tests/gpu/gpu_backend_switch", "bench_cuda": "bench/cuda/bench_cuda"}

# What is run and measured: on a device, and where the emulation's few thousand entries a second have to do.
ON_DEVICE = {"types": ("float", "bfloat16"), "rows": (1, 64, 4096), "vocabularies": (32000, 151936), "least": 0.05,
             "suite": [], "catalogue": []}
REHEARSED = {"types": ("float",), "rows": (1, 8), "vocabularies": (1000,), "least": 0.001,
             "suite": ["--source-file=*calls.cu,*errors.cu,*shapes.cu"], "catalogue": ["--test-case=token terms on the device*"]}

CASES = re.compile(r"^\[doctest\] test cases: +(\d+) \| +(\d+) passed \| +(\d+) failed", re.MULTILINE)
ASSERTIONS = re.compile(r"^\[doctest\] assertions: +(\d+) \|", re.MULTILINE)


class Done:
    """How a command ended: `status` is None where its time was over."""

    def __init__(self, status, output, seconds):
        self.status, self.output, self.seconds = status, output, seconds

    def how(self):
        if self.status is None:
            return f"it had not ended after {self.seconds:.0f} s" if self.seconds else "no time was left for it"
        if self.status < 0:
            return f"it ended by {signal.Signals(-self.status).name}"
        return f"it ended with status {self.status}"

    def last_line(self):
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def end(process):
    """Ends a command and what it started. ninja, whose compilers are groups of their own, is asked first, and removes what is half written."""
    for how, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def run(command, seconds, log):
    """Runs a command and what it starts, for so long at most; its output is the log's."""
    begin = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        file.write(f"$ {' '.join(map(str, command))}\n")
        file.flush()
        at = file.tell()
        try:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file,
                                       stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT)
        except OSError as error:
            return Done(127, f"{command[0]}: {error.strerror}", 0.0)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end(process)
    with open(log, encoding="utf-8", errors="replace") as file:
        file.seek(at)
        return Done(status, file.read(), time.monotonic() - begin)


class Report:
    """gpu.json and gpu.md, written anew after every step."""

    def __init__(self, out, seconds, rehearsal):
        self.out, self.begin, self.seconds = out, time.monotonic(), seconds
        self.found = {"rehearsal": rehearsal, "date": datetime.date.today().isoformat(), "commit": commit(), "device": {},
                      "cores": len(os.sched_getaffinity(0)), "seconds": 0, "steps": [], "peers": {}, "measured": {}}
        out.mkdir(parents=True, exist_ok=True)

    def left(self, step):
        return ENDS[step] * self.seconds - (time.monotonic() - self.begin)

    def run(self, step, command, name=None):
        left = self.left(step)
        return run(command, left, self.out / f"{name or step}.log") if left > 0 else Done(None, "", 0.0)

    def add(self, name, outcome, why="", **more):
        self.found["steps"].append({"name": name, "outcome": outcome, "why": why, **more})
        self.found["seconds"] = round(time.monotonic() - self.begin)
        print(f"{name}: {outcome}{f': {why}' if why else ''}", flush=True)
        self.write()

    def write(self):
        (self.out / "gpu.json").write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
        (self.out / "gpu.md").write_text(page.fragment(self.found) + "\n", encoding="utf-8")

    def failed(self):
        return [step["name"] for step in self.found["steps"] if step["outcome"] == "failed"]


def commit():
    try:
        return subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# ---- the device ----


def probe(out, seconds, built=None):
    """(0, device), (77, why there is none), or (1, what failed). `built` is with_device where somebody has built it."""
    out.mkdir(parents=True, exist_ok=True)
    device, program = {}, built
    if built is None:
        nvcc = shutil.which("nvcc")
        if nvcc is None:
            return NO_DEVICE, "nothing has run: there is no nvcc here"
        program = out / "with_device"
        done = run([nvcc, "-std=c++20", f"-I{ROOT / 'tests'}", ROOT / "tests/gpu/with_device.cu", "-o", program], seconds,
                   out / "probe.log")
        if done.status != 0:
            return 1, f"nvcc does not compile the smallest kernel: {done.how()}: {done.last_line()}"
        version = re.search(r"release ([\d.]+)", run([nvcc, "--version"], seconds, out / "nvcc.log").output)
        device["nvcc"] = version.group(1) if version else "unknown"
    done = run([program, shutil.which("true")], seconds, out / "device.log")
    if done.status == NO_DEVICE:
        return NO_DEVICE, done.last_line()
    about = re.search(r"^on (.+), compute capability ([\d.]+)$", done.output, re.MULTILINE)
    if done.status != 0 or about is None:
        return 1, f"the device does not say its name: {done.how()}: {done.last_line()}"
    device["name"], device["compute capability"] = about.groups()
    if built is None and shutil.which("nvidia-smi"):
        done = run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], 30, out / "driver.log")
        if done.status == 0 and done.output.strip():
            device["driver"] = done.output.split()[0]
    return 0, device


# ---- the build ----


def architecture(device, out):
    """What nvcc builds for: the device itself; where nvcc does not know it, nothing is said and the driver translates."""
    of_device = device["compute capability"].replace(".", "")
    known = run(["nvcc", "--list-gpu-code"], 30, out / "architectures.log")
    return [f"-DCMAKE_CUDA_ARCHITECTURES={of_device}-real"] if f"sm_{of_device}" in known.output.split() else []


def configure(report, build):
    """Whether there is a build, and why it has no benchmarks."""
    common = ["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
              f"-DCMAKE_CXX_COMPILER={os.environ.get('CXX', 'g++')}", "-DDISTILL_CUDA=ON", "-DDISTILL_TEST_SUITES=gpu",
              "-DDISTILL_STATIC_SUITES=OFF", "-DDISTILL_EXAMPLES=OFF", "-DDISTILL_WARNINGS_ARE_ERRORS=OFF",
              "-DCMAKE_DISABLE_FIND_PACKAGE_Torch=ON",
              *architecture(report.found["device"], report.out)]
    why = None
    for bench in ("ON", "OFF"):
        done = report.run("configure", [*common, f"-DDISTILL_BENCH={bench}"], f"configure_bench_{bench}".lower())
        if done.status == 0:
            report.add("configure", "passed")
            return True, why
        error = re.search(r"CMake Error.*?\n\s*(\S.*)", done.output)
        why = f"CMake: {error.group(1)}" if error else done.how()
    report.add("configure", "failed", why)
    return False, why


def make(report, build, no_bench):
    """{target: why it is not built}."""
    targets = [target for target in TARGETS if target != "bench_cuda" or no_bench is None]
    done = report.run("build", ["ninja", "-C", build, "-k", "0", *targets])
    missing = {} if no_bench is None else {"bench_cuda": no_bench}
    for target in targets:
        if "no work to do" not in run(["ninja", "-C", build, "-n", target], 60, report.out / "ninja.log").output:
            missing[target] = "not built in time" if done.status is None else "does not build"
    why = ", ".join(f"{target} {reason}" if target in targets else f"bench_cuda is left out, {reason}"
                    for target, reason in missing.items())
    if done.status is None:
        why += f"; {done.how()} on {report.found['cores']} cores: another call goes on from there, --seconds gives it longer"
    report.add("build", "failed" if set(missing) & set(targets) else "passed", why, seconds=round(done.seconds))
    return missing


# ---- the suite ----


def tested(done):
    """(outcome, why, counts) of a doctest program."""
    cases, assertions = CASES.search(done.output), ASSERTIONS.search(done.output)
    counts = {} if cases is None else {"cases": int(cases.group(2)), "assertions": int(assertions.group(1)) if assertions else 0}
    failing = list(dict.fromkeys(re.findall(r"^TEST CASE: +(.*)$", done.output, re.MULTILINE)))
    if cases is None or done.status != 0:
        why = done.how() if cases is None else f"{cases.group(3)} of {cases.group(1)} test cases failed"
        return "failed", why + "".join(f"; {name}" for name in failing[:10]), counts
    return ("passed", "", counts) if counts["cases"] else ("failed", "no test case ran", counts)


SUITE = (("suite", "test_gpu", "suite gpu: contracts, calls, streams, graphs, rows that blocks share"),
         ("examples", "gpu_cuda_stream", "example cuda_stream"),
         ("examples", "gpu_backend_switch", "example backend_switch"),
         ("catalogue", "test_gpu_catalogue", "suite gpu: conformance of the whole catalogue"))


def suite(report, build, sizes, missing):
    for step, target, name in SUITE:
        if target in missing:
            report.add(name, "failed", missing[target])
        elif step == "examples":
            expected = ROOT / f"examples/expected/{target.removeprefix('gpu_')}.txt"
            done = report.run(step, [sys.executable, ROOT / "examples/compare_output.py", expected, build / TARGETS[target]], target)
            report.add(name, *(("passed",) if done.status == 0 else ("failed", f"{done.how()}: {done.last_line()}")))
        else:
            done = report.run(step, [build / TARGETS["with_device"], build / TARGETS[target], *sizes[step]])
            outcome, why, counts = tested(done)
            report.add(name, outcome, why, seconds=round(done.seconds), **counts)


def sanitize(report, build, sizes, missing, program):
    """Races and barriers on teams of every shape, memory in all but the catalogue. Tests make CUDA refuse calls: that is no finding."""
    of_shapes = ["--source-file=*shapes.cu"]
    for tool, arguments in (("racecheck", of_shapes), ("synccheck", of_shapes), ("memcheck", sizes["suite"])):
        name = f"compute-sanitizer {tool}"
        if program is None:
            report.add(name, "left out", "compute-sanitizer is not installed")
        elif "test_gpu" in missing:
            report.add(name, "left out", f"test_gpu: {missing['test_gpu']}")
        else:
            done = report.run(tool, [program, "--tool", tool, "--error-exitcode", SANITIZER_FOUND, *(
                ["--report-api-errors", "no"] if tool == "memcheck" else []), build / TARGETS["test_gpu"], *arguments])
            summary = re.findall(r"SUMMARY: (.*)", done.output)
            if done.status == 0 and CASES.search(done.output):
                report.add(name, "passed", seconds=round(done.seconds))
            elif done.status is None and not any(re.match(r"[1-9]", line) for line in summary):
                report.add(name, "left out", done.how())
            else:
                report.add(name, "failed", "; ".join([done.how(), *summary]))


# ---- the benchmarks ----


COLUMNS = ("us/call", "ns/entry", "GB/s", "of copy")


def take(report, results):
    """Adds what a file of google-benchmark's form has: ([what failed], [what the device had no memory for], how many were measured)."""
    failing, without_memory, count = [], [], 0
    for result in results["benchmarks"]:
        name = result["name"].removesuffix("/manual_time")
        if result.get("error_occurred"):
            message = result["error_message"]
            (without_memory if "out of memory" in message.lower() else failing).append(f"{name}: {message}")
        else:
            report.found["measured"][name] = {column: float(f"{result[column]:.4g}") for column in COLUMNS}
            count += 1
    return failing, without_memory, count


def read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def bench(report, build, sizes, missing):
    if "bench_cuda" in missing:
        report.add("bench_cuda", "failed", missing["bench_cuda"])
        return
    failing, without_memory, count = [], [], 0
    rows = "|".join(map(str, sizes["rows"]))
    for of_type in sizes["types"]:
        for vocabulary in sizes["vocabularies"]:  # a process each: a fault of the device takes no more with it
            name = f"bench_{of_type}_{vocabulary}"
            file = report.out / f"{name}.json"
            file.unlink(missing_ok=True)
            done = report.run("bench", [build / TARGETS["bench_cuda"], f"--benchmark_filter=^{of_type}, ({rows}) x {vocabulary}/",
                                        f"--benchmark_min_time={sizes['least']}", f"--benchmark_out={file}",
                                        "--benchmark_out_format=json"], name)
            results = read(file)
            if done.status != 0 or results is None:
                failing.append(f"{of_type}, {vocabulary} entries: {done.how()}: {done.last_line()}")
            if results is not None:
                report.found["device"]["about"] = results["context"].get("device", "")
                more = take(report, results)
                failing, without_memory, count = failing + more[0], without_memory + more[1], count + more[2]
    finish(report, "bench_cuda", failing, without_memory, count)


def finish(report, name, failing, without_memory, count, remarks=()):
    if without_memory:
        remarks = [f"the device has no memory for {len(without_memory)}", *remarks]
    if not failing and not count:
        failing = ["nothing was measured"]
    report.add(name, "failed" if failing else "passed", "; ".join([*failing, *remarks]), measured=count)


def python_peers(report, sizes, script):
    file = report.out / "peers.json"
    file.unlink(missing_ok=True)
    of_types, rows, vocabularies = ("|".join(map(str, sizes[key])) for key in ("types", "rows", "vocabularies"))
    name = "Python's peers"
    done = report.run("peers", [sys.executable, script, f"--benchmark_filter=^({of_types}), ({rows}) x ({vocabularies})/",
                                f"--seconds={max(1, report.left('peers') - 15):.0f}", f"--benchmark_out={file}"])
    results = read(file)
    if done.status == NO_DEVICE and results is None:
        report.add(name, "left out", done.last_line())
        return {"PyTorch": done.last_line()}
    failing, without_memory, count = take(report, results) if results is not None else ([], [], 0)
    context = results["context"] if results is not None else {}
    remarks = [f"{late} were not begun in time"] if (late := context.get("not begun in time")) else []
    if done.status != 0:  # what compiles beyond its time has done nothing wrong
        (remarks if done.status is None and count else failing).append(f"{done.how()}: {done.last_line()}")
    finish(report, name, failing, without_memory, count, remarks)
    return context.get("left out", {})


def name_peers(report, left_out):
    """Which of the peers were measured, and why the others were not."""
    measured = report.found["measured"]
    whys = {"cudaMemcpyAsync": "bench_cuda did not measure it", "three kernels": "bench_cuda did not measure it",
            "cuDNN": "bench_cuda has found no cudnn.h, or no library of it",
            **{peer: left_out.get("PyTorch", "peers.py did not measure it") for peer in ("PyTorch", "torch.compile", "Liger-Kernel")},
            **left_out}
    for peer, why in whys.items():
        report.found["peers"][peer] = "measured" if any(name.endswith(peer) for name in measured) else f"left out: {why}"
    report.write()


# ---- the command ----


def guarded(report, name, step):
    """A program's output that this file does not understand is a failure of its step, and no more."""
    try:
        return step()
    except Exception as error:
        report.add(name, "failed", f"what it wrote is not understood: {type(error).__name__}: {error}")
        return None


def measure(arguments):
    out = pathlib.Path(arguments.out).resolve()
    rehearsal = arguments.rehearsal is not None
    build = pathlib.Path(arguments.rehearsal).resolve() if rehearsal else out / "build"
    report = Report(out, arguments.seconds, rehearsal)
    sizes, no_bench = REHEARSED if rehearsal else ON_DEVICE, None
    if rehearsal:
        run(["ninja", "-C", build, "with_device"], 60, out / "probe.log")
    status, answer = probe(out, report.left("probe"), build / TARGETS["with_device"] if rehearsal else None)
    if status != 0:
        print(answer)
        return status
    report.found["device"] = answer
    print(f"on {answer['name']}, compute capability {answer['compute capability']}", flush=True)
    if not rehearsal:
        configured, no_bench = configure(report, build)
        if not configured:
            return conclude(report)
    missing = make(report, build, no_bench)
    if "with_device" in missing:
        return conclude(report)
    # The real one looks for a device.
    sanitizer = arguments.sanitizer or (None if rehearsal else shutil.which("compute-sanitizer"))
    guarded(report, "suite gpu", lambda: suite(report, build, sizes, missing))
    guarded(report, "compute-sanitizer", lambda: sanitize(report, build, sizes, missing, sanitizer))
    guarded(report, "bench_cuda", lambda: bench(report, build, sizes, missing))
    left_out = guarded(report, "Python's peers", lambda: python_peers(report, sizes, arguments.peers))
    name_peers(report, left_out or {})
    return conclude(report)


def conclude(report):
    failed = report.failed()
    print(f"{report.out / 'gpu.json'} and gpu.md are written, {report.found['seconds']} s")
    print(f"failed: {', '.join(failed)}" if failed else "all that could run here passed")
    if not report.found["rehearsal"]:
        print(f"to publish: python3 bench/cuda/page.py publish {report.out / 'gpu.json'}")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("probe", "measure"))
    parser.add_argument("--out", default=str(ROOT / "build/gpu"))
    parser.add_argument("--seconds", type=float, default=570.0)
    parser.add_argument("--rehearsal")
    parser.add_argument("--peers", default=str(ROOT / "bench/cuda/peers.py"))
    parser.add_argument("--sanitizer")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        return measure(arguments)
    status, answer = probe(pathlib.Path(arguments.out).resolve(), 60)
    print(answer if status else f"on {answer['name']}, compute capability {answer['compute capability']}")
    return status


if __name__ == "__main__":
    sys.exit(main())
