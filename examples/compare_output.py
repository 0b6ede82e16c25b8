"""Runs a program and compares what it prints with a committed file.

usage: compare_output.py EXPECTED PROGRAM [ARGUMENT...]

Words are compared one by one: numbers to a relative difference of 1e-4 (instruction sets differ in the last digits),
everything else to the letter.
"""

import difflib
import subprocess
import sys


def same(expected: str, found: str) -> bool:
    try:
        a, b = float(expected), float(found)
    except ValueError:
        return expected == found
    return abs(a - b) <= 1e-4 * max(abs(a), abs(b)) + 1e-9


def main() -> int:
    expected_path, *command = sys.argv[1:]
    with open(expected_path, encoding="utf-8") as file:
        expected = file.read().splitlines()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = run.stdout.splitlines()
    agree = run.returncode == 0 and len(expected) == len(found)
    for e, f in zip(expected, found):
        e_words, f_words = e.split(), f.split()
        agree = agree and len(e_words) == len(f_words) and all(map(same, e_words, f_words))
    if not agree:
        print(f"exit status {run.returncode}", run.stderr)
        print("\n".join(difflib.unified_diff(expected, found, expected_path, command[0], lineterm="")))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
