"""Everything that a loop calls on vectors is inlined into it, with the flags that consumers use.

usage: check.py SOURCE COMPILER FLAGS...

A function on vectors that stands outside the loop of its instruction set runs with the consumer's default instructions: right,
and several times as slow. Such a function would have a symbol of its own.

And no loop on floats takes a vector apart and works on its lanes one by one. A loop that does puts the vector together again
with vunpcklps or vpinsrd, which no other code of it needs.
"""

import platform
import subprocess
import sys
import tempfile
from pathlib import Path


def output_of(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


def functions_on_vectors(compiled):
    symbols = output_of("nm", "--demangle", "--defined-only", compiled)
    functions = [line for line in symbols if line.split(maxsplit=2)[1] in "tTwW"]
    assert any("distill" in line for line in functions), "the source calls nothing of the library"
    return [line for line in functions if "simd::pack<" in line or "__vector(" in line]


def loops_in_lanes(compiled):
    if platform.machine() != "x86_64":
        return []
    counts, loop = {}, None
    for line in output_of("objdump", "--disassemble", "--demangle", "--no-show-raw-insn", compiled):
        if line.endswith(">:"):
            loop = line if "run_avx512" in line else None
            counts |= {loop: 0}
        elif "vunpcklps" in line or "vpinsrd" in line:
            counts[loop] = counts.get(loop, 0) + 1
    counts.pop(None, None)
    assert counts, "the source has no loop for AVX-512"
    return [f"{count} times in {loop}" for loop, count in counts.items() if count > 0]


def faults(source, command, flags):
    with tempfile.TemporaryDirectory() as directory:
        compiled = str(Path(directory) / "compiled.o")
        subprocess.run([*command, *flags, "-c", source, "-o", compiled], check=True)
        yield from (f"not inlined: {line}" for line in functions_on_vectors(compiled))
        yield from (f"lanes one by one: {line}" for line in loops_in_lanes(compiled))


def main():
    source, *command = sys.argv[1:]
    found = [f"{' '.join(flags)}: {fault}"
             for flags in (("-O2",), ("-O3",), ("-O2", "-ffast-math")) for fault in faults(source, command, flags)]
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
