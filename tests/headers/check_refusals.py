"""What cannot compile the headers is told so in the first error, whichever public header comes first.

usage: check_refusals.py INCLUDE_DIRECTORY COMPILER FLAGS...
"""

import pathlib
import subprocess
import sys

COMPILERS = "distill: needs g++ 12 or clang 14, or newer"
# What the compiler is made to be, and what the first error says.
REFUSED = (
    (["-std=c++17"], "distill: needs C++20: compile with -std=c++20"),
    (["-D_MSC_VER=1940", "-U__clang__"], COMPILERS),
    (["-U__clang_major__", "-D__clang_major__=13", "-U__GNUC__", "-D__GNUC__=11"], COMPILERS),
)


def first_error(command, header):
    output = subprocess.run([*command, "-fsyntax-only", "-fmax-errors=1", "-x", "c++", "-"], input=f"#include <{header}>\n",
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    return next((line for line in output.splitlines() if "error:" in line), "no error")


def main(arguments):
    root, command = pathlib.Path(arguments[0]), arguments[1:]
    headers = [path.relative_to(root).as_posix() for pattern in ("distill/*.hpp", "distill/interop/*.hpp")
               for path in sorted(root.glob(pattern))]
    runs = [(header, *REFUSED[0]) for header in headers] + [("distill/loss.hpp", *other) for other in REFUSED[1:]]
    found = [(header, flags, error) for header, flags, sentence in runs
             if sentence not in (error := first_error([*command, *flags], header))]
    for header, flags, error in found:
        print(f"{header} with {' '.join(flags)}: the first error is: {error}")
    return 1 if found or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
