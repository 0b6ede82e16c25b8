"""Everything that a loop calls on packs of lanes is inlined into it, at the optimisation levels that consumers use.

usage: check.py SOURCE COMPILER FLAGS...

A function on packs that stands outside the loop of its instruction set runs with the consumer's default instructions: right,
and several times as slow. Such a function would have a symbol of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path


def functions_on_packs(source, command, level):
    with tempfile.TemporaryDirectory() as directory:
        compiled = Path(directory) / "compiled.o"
        subprocess.run([*command, level, "-c", source, "-o", str(compiled)], check=True)
        symbols = subprocess.run(["nm", "--demangle", "--defined-only", str(compiled)], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout.splitlines()
    functions = [line for line in symbols if line.split(maxsplit=2)[1] in "tTwW"]
    assert any("distill" in line for line in functions), "the source calls nothing of the library"
    return [line for line in functions if "simd::pack<" in line]


def main():
    source, *command = sys.argv[1:]
    found = {level: functions_on_packs(source, command, level) for level in ("-O2", "-O3")}
    for level, lines in found.items():
        for line in lines:
            print(f"{level}: not inlined: {line}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
