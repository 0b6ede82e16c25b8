"""Compiles a wrong composition and its good twin, syntax only.

usage: check.py SOURCE COMPILER FLAGS...

With DISTILL_TEST_GOOD_TWIN defined the source compiles without a word. Without it the source does not compile, and for every
comment `// expect: TEXT` the compiler prints TEXT and points at the line of code that follows the comment. `// expect first: TEXT`:
in its first error.
"""

import pathlib
import re
import subprocess
import sys

EXPECT = re.compile(r"//\s*expect( first)?:\s*(.+?)\s*$")


def expectations(source):
    """(line number of the offending code, expected text, whether it is the first error) of every `// expect:` comment."""
    found = []
    for number, line in enumerate(source.read_text().splitlines(), start=1):
        match = EXPECT.search(line)
        if match:
            found.append((number + 1, match.group(2), match.group(1) is not None))
    return found


def compile_source(command, source):
    done = subprocess.run([*command, "-fsyntax-only", str(source)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return done.returncode, done.stdout


def problems_of(source, command):
    expected = expectations(source)
    if not expected:
        yield "has no `// expect:` comment", ""
    status, output = compile_source([*command, "-DDISTILL_TEST_GOOD_TWIN"], source)
    if status != 0 or output.strip():
        yield "the good twin does not compile cleanly", output
    status, output = compile_source(command, source)
    if status == 0:
        yield "the wrong composition compiles", output
        return
    for line, text, first in expected:
        if first and text not in next((line for line in output.splitlines() if "error:" in line), ""):
            yield f"the compiler's first error is not: {text}", output
        elif text not in output:
            yield f"the compiler does not print: {text}", output
        elif not re.search(rf"{re.escape(source.name)}:{line}\b", output):
            yield f"the compiler does not point at line {line}", output


def main(arguments):
    source, command = pathlib.Path(arguments[0]), arguments[1:]
    failed = False
    for problem, output in problems_of(source, command):
        failed = True
        print(f"{source.name}: {problem}")
        if output:
            print(output)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
