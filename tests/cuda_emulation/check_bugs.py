"""Runs every seeded bug that a build finds, in ascending and in random order, and looks for the reports.

usage: check_bugs.py PROGRAM SOURCE [SANITIZER...]        SANITIZER: address, thread or alignment, what the build has

For every comment `// NAME (WHERE): TEXT` of the source, where WHERE is always or one of these sanitizers, `PROGRAM NAME` fails, prints TEXT, and
names the line of the comment. The program without an argument prints its bugs; each has such a comment.
"""

import os
import pathlib
import re
import subprocess
import sys

EXPECTED = re.compile(r"//\s*(\w+) \((always|address|thread|alignment)\): (.+?)\s*$")
# Where no symbolizer of clang's is installed, that of the assembler's package names the lines. Nobody waits for other threads.
OPTIONS = "allow_addr2line=1:atexit_sleep_ms=0"


def expectations(source):
    """NAME -> [(WHERE, line number, TEXT)]."""
    found = {}
    for number, line in enumerate(source.read_text().splitlines(), start=1):
        if match := EXPECTED.search(line):
            found.setdefault(match.group(1), []).append((match.group(2), number, match.group(3)))
    return found


def run(program, name, seed):
    environment = dict(os.environ, DISTILL_CUDA_SEED=seed, ASAN_OPTIONS=OPTIONS, TSAN_OPTIONS=OPTIONS, UBSAN_OPTIONS=OPTIONS)
    done = subprocess.run([program, *name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env=environment, timeout=120, check=False)
    return done.returncode, done.stdout


def problems_of(program, source, name, expected):
    for seed in ("", "1", "2"):
        status, output = run(program, [name], seed)
        if status == 0:
            yield seed, "is not found", output
        for _, line, text in expected:
            if text not in output:
                yield seed, f"is not reported as: {text}", output
            elif not re.search(rf"{re.escape(source.name)}:{line}\b", output):
                yield seed, f"is reported without line {line}", output


def main(program, source, *sanitizers):
    source = pathlib.Path(source)
    expected = expectations(source)
    names = run(program, [], "")[1].split()
    failed = False
    for name in sorted({*names, *expected}):
        if name not in names or name not in expected:
            print(f"{name}: has no comment, or is no bug of the program")
            failed = True
            continue
        sought = [one for one in expected[name] if one[0] in ("always", *sanitizers)]
        problems = list(problems_of(program, source, name, sought)) if sought else []
        for seed, problem, output in problems:
            print(f"{name} (seed {seed or 'none'}): {problem}\n{output}")
        failed = failed or bool(problems)
        print(f"{name}: {'sought elsewhere' if not sought else 'not as expected' if problems else 'found'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
