"""Holds the documentation to the examples: code blocks and shown output are theirs, to the letter.

usage: check.py REPOSITORY

* A ```cpp block of README.md or docs/*.md is a whole example, or a run of consecutive lines of one (leading spaces apart).
* A ``` block without a language is a run of consecutive lines of a file in examples/expected/.
* Code in a table's column `write` is a part of a line of an example.
"""

import re
import sys
from pathlib import Path


def blocks(text: str):
    """(line number, language, lines) of every fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2).splitlines()


def to_write(text: str):
    """(line number, code) of the code in every table's column `write`."""
    column = None
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.split("|")] if line.startswith("|") else []
        if not cells:
            column = None
        elif "write" in cells:
            column = cells.index("write")
        elif column is not None:
            for code in re.findall(r"`([^`]+)`", cells[column]):
                yield number, code


def stripped(lines):
    return [line.strip() for line in lines if line.strip()]


def is_run_of(block, lines) -> bool:
    block, lines = stripped(block), stripped(lines)
    return any(lines[start : start + len(block)] == block for start in range(len(lines) - len(block) + 1))


def main() -> int:
    root = Path(sys.argv[1])
    examples = [path.read_text(encoding="utf-8").splitlines() for path in sorted(root.glob("examples/**/*.[ch]pp"))]
    outputs = [path.read_text(encoding="utf-8").splitlines() for path in sorted(root.glob("examples/expected/*.txt"))]
    checked, failures = 0, 0
    for document in [root / "README.md", *sorted(root.glob("docs/**/*.md"))]:
        text = document.read_text(encoding="utf-8")
        for line, code in to_write(text):
            checked += 1
            if not any(code in written for example in examples for written in example):
                failures += 1
                print(f"{document.relative_to(root)}:{line}: no example has this code: {code}")
        for line, language, block in blocks(text):
            sources = {"cpp": examples, "": outputs}.get(language)
            if sources is None:
                continue
            checked += 1
            if not any(is_run_of(block, source) for source in sources):
                failures += 1
                kind = "no example has this code" if language == "cpp" else "no example prints this"
                print(f"{document.relative_to(root)}:{line}: {kind}: {block[0] if block else ''}")
    print(f"{checked} pieces checked, {failures} differ")
    return 1 if failures or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
