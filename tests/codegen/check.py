"""Everything that a loop calls on vectors is inlined into it, with the flags that consumers use.

usage: check.py SOURCE OBJDUMP COMPILER FLAGS...

A function on vectors that stands outside the loop of its instruction set runs with the consumer's default instructions: right,
and several times as slow. Such a function would have a symbol of its own.

And no loop on floats takes a vector apart and works on its lanes one by one. A loop that does puts the vector together again,
on AVX-512 with vunpcklps or vpinsrd, on AArch64 with an insertion of a word or a halfword, which no other code of it needs. On
AArch64 the loops have the fused multiply-add and the conversions of half that every processor has.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path


def output_of(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


def functions_on_vectors(objdump, compiled):
    symbols = output_of(objdump, "--syms", "--demangle", compiled)
    functions = [line for line in symbols if " F .text" in line]
    assert any("distill" in line for line in functions), "the source calls nothing of the library"
    return [line for line in functions if "simd::pack<" in line or "__vector(" in line]


# Of a processor, by what objdump calls it: the loops that count, what puts a vector together, and what loops have to have.
PROCESSORS = {
    "x86-64": ("run_avx512", r"\b(?:vunpcklps|vpinsrd)\b", ()),
    "aarch64": ("run_baseline", r"\b(?:ins|mov)\s+v\d+\.[sh]\[",
                (r"\bfmla\s+v\d+\.4s", r"\bfcvtl\s+v\d+\.4s", r"\bfcvtn\s+v\d+\.4h")),
}


def loops_in_lanes(objdump, compiled):
    lines = output_of(objdump, "--disassemble", "--demangle", "--no-show-raw-insn", compiled)
    processor = next((name for name in PROCESSORS if any(name in line for line in lines[:4])), None)
    assert processor, f"not known: {lines[:4]}"
    loops, lane_by_lane, needed = PROCESSORS[processor]
    counts, loop, missing = {}, None, set(needed)
    for line in lines:
        if line.endswith(">:"):
            loop = line if loops in line else None
            counts |= {loop: 0}
        elif loop:
            counts[loop] += bool(re.search(lane_by_lane, line))
            missing -= {pattern for pattern in missing if re.search(pattern, line)}
    counts.pop(None, None)
    assert counts, f"the source has no loop {loops}"
    return [f"{count} times in {loop}" for loop, count in counts.items() if count > 0] + [f"no loop has {m}" for m in missing]


def faults(source, objdump, command, flags):
    with tempfile.TemporaryDirectory() as directory:
        compiled = str(Path(directory) / "compiled.o")
        subprocess.run([*command, *flags, "-c", source, "-o", compiled], check=True)
        yield from (f"not inlined: {line}" for line in functions_on_vectors(objdump, compiled))
        yield from (f"lanes one by one: {line}" for line in loops_in_lanes(objdump, compiled))


def main():
    source, objdump, *command = sys.argv[1:]
    found = [f"{' '.join(flags)}: {fault}"
             for flags in (("-O2",), ("-O3",), ("-O2", "-ffast-math")) for fault in faults(source, objdump, command, flags)]
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
