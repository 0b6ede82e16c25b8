"""Holds the documentation to the examples: code blocks and shown output are theirs, to the letter.

usage: check.py REPOSITORY

* A ```cpp block of README.md or docs/*.md is a whole example, or a run of consecutive lines of one (leading spaces apart).
* A ``` block without a language is a run of consecutive lines of a file in examples/expected/.
* A ```cmake block is a run of consecutive lines of the CMakeLists.txt of a project in tests/package/.
"""

import re
import sys
from pathlib import Path


def blocks(text: str):
    """(line number, language, lines) of every fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2).splitlines()


def stripped(lines):
    return [line.strip() for line in lines if line.strip()]


def is_run_of(block, lines) -> bool:
    block, lines = stripped(block), stripped(lines)
    return any(lines[start : start + len(block)] == block for start in range(len(lines) - len(block) + 1))


def main() -> int:
    root = Path(sys.argv[1])
    examples = [path.read_text(encoding="utf-8").splitlines() for path in sorted(root.glob("examples/**/*.[ch]pp"))]
    outputs = [path.read_text(encoding="utf-8").splitlines() for path in sorted(root.glob("examples/expected/*.txt"))]
    consumers = [path.read_text(encoding="utf-8").splitlines() for path in sorted(root.glob("tests/package/*/CMakeLists.txt"))]
    known = {"cpp": (examples, "no example has this code"), "": (outputs, "no example prints this"),
             "cmake": (consumers, "no project in tests/package has this")}
    checked, failures = 0, 0
    for document in [root / "README.md", *sorted(root.glob("docs/**/*.md"))]:
        for line, language, block in blocks(document.read_text(encoding="utf-8")):
            if language not in known:
                continue
            sources, sentence = known[language]
            checked += 1
            if not any(is_run_of(block, source) for source in sources):
                failures += 1
                print(f"{document.relative_to(root)}:{line}: {sentence}: {block[0] if block else ''}")
    print(f"{checked} blocks checked, {failures} differ")
    return 1 if failures or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
