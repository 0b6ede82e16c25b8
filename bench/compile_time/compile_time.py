"""What including the library costs: seconds, and a count that does not depend on the machine.

usage: compile_time.py seconds OUT.json FLAGS...           user time at -O2, g++ and clang, the best of three
       compile_time.py check BUDGET.json CLANG FLAGS...    fails where more templates are instantiated than the budget says

Ratios are to parsing <Eigen/Core>. FLAGS are a consumer's: -std=c++20 and the include directories.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FILES = {
    "#include <Eigen/Core>": HERE / "eigen_core.cpp",
    "one Eigen array expression": HERE / "eigen_expression.cpp",
    "#include <distill/distill.hpp>": HERE / "umbrella.cpp",
    "quickstart": HERE.parents[1] / "examples" / "quickstart.cpp",
    "quickstart, DISTILL_BASELINE_ONLY": HERE.parents[1] / "examples" / "quickstart.cpp",
    "ten objectives": HERE / "ten_objectives.cpp",
}


def flags_of(name):
    return ["-DDISTILL_BASELINE_ONLY"] if "DISTILL_BASELINE_ONLY" in name else []


def user_seconds(command):
    """Of the command and its children."""
    before = os.times().children_user
    subprocess.run(command, check=True)
    return os.times().children_user - before


def seconds(flags):
    """{compiler: {file: {seconds, ratio}}}"""
    found = {}
    for compiler in ("g++", "clang++"):
        times = {name: min(user_seconds([compiler, *flags, *flags_of(name), "-O2", "-c", str(file), "-o", os.devnull])
                           for _ in range(3)) for name, file in FILES.items()}
        unit = next(iter(times.values()))
        found[compiler] = {name: {"seconds": round(t, 2), "ratio": round(t / unit, 2)} for name, t in times.items()}
    return found


def instantiations(name, clang, flags):
    """Of classes and functions, from clang's own trace."""
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder) / "unit.json"
        subprocess.run([clang, *flags, *flags_of(name), "-O0", "-ftime-trace", "-ftime-trace-granularity=0", "-c", "-emit-llvm",
                        "-Xclang", "-disable-llvm-passes",
                        str(FILES[name]), "-o", str(trace.with_suffix(".o"))], check=True)
        events = json.loads(trace.read_text())["traceEvents"]
    return sum(event["name"] in ("InstantiateClass", "InstantiateFunction") for event in events)


def main():
    what, *rest = sys.argv[1:]
    if what == "seconds":
        out, *flags = rest
        found = seconds(flags)
        pathlib.Path(out).write_text(json.dumps(found, indent=1) + "\n")
        for compiler, files in found.items():
            for name, t in files.items():
                print(f"{compiler:8} {name:36} {t['seconds']:6.2f} s {t['ratio']:6.2f} x parsing <Eigen/Core>")
        return 0
    budget_file, clang, *flags = rest
    over = []
    for name, allowed in json.loads(pathlib.Path(budget_file).read_text()).items():
        count = instantiations(name, clang, flags)
        print(f"{name:36} {count:7} instantiations, budget {allowed}")
        if count > allowed:
            over.append(name)
    if over:
        print(f"over budget: {', '.join(over)}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
