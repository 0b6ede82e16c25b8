"""Holds the documentation to the examples, to the headers and to itself.

usage: check.py REPOSITORY

* A ```cpp block of README.md or docs/**/*.md is a whole example, or a run of consecutive lines of one (leading spaces apart). The
  programs of tests/hosts/ are examples too; a ```python block is of one of theirs.
* A ``` block without a language is a run of consecutive lines of a file in examples/expected/.
* Code in a table's column `write` is a part of a line of an example.
* A link leads to a file that exists and to a heading that it has; every page of docs/ is reached from docs/README.md.
* docs/errors.md has every message of the headers, and no other.
* docs/objectives.md has a table's row for every term, composition and reduction, which is called as its header is.
* A ```cmake block is a run of consecutive lines of the CMakeLists.txt of a project in tests/package/ or tests/hosts/.
"""

import re
import sys
from pathlib import Path


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


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


def strange_blocks(root: Path, pages):
    def lines_of(*patterns):
        return [path.read_text(encoding="utf-8").splitlines() for pattern in patterns for path in sorted(root.glob(pattern))]

    examples = lines_of("examples/**/*.[ch]*", "tests/hosts/**/*.[ch]pp")
    known = {"cpp": (examples, "no example has this code"),
             "python": (lines_of("tests/hosts/**/*.py"), "no program of tests/hosts has this code"),
             "": (lines_of("examples/expected/*.txt"), "no example prints this"),
             "cmake": (lines_of("tests/package/*/CMakeLists.txt", "tests/hosts/*/CMakeLists.txt"),
                       "no project in tests/package or tests/hosts has this")}
    for page, text in pages.items():
        for line, code in to_write(text):
            if not any(code in written for example in [*examples, *known["python"][0]] for written in example):
                yield f"{page.relative_to(root)}:{line}: no example has this code: {code}"
        for line, language, block in blocks(text):
            sources, sentence = known.get(language, (None, None))
            if sources is not None and not any(is_run_of(block, source) for source in sources):
                yield f"{page.relative_to(root)}:{line}: {sentence}: {block[0] if block else ''}"


def anchors(text: str):
    """What a heading is reached by: lower case, spaces as hyphens, no punctuation."""
    for heading in re.findall(r"^#+ +(.*)$", without_blocks(text), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(root: Path, pages):
    reached = set()
    for page, text in pages.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text)):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if page == root / "docs/README.md":
                reached.add(target)
            if not target.exists():
                yield f"{page.relative_to(root)}: no such file: {link}"
            elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
                yield f"{page.relative_to(root)}: no such heading: {link}"
    for page in pages:
        if root / "docs" in page.parents and page != root / "docs/README.md" and page not in reached:
            yield f"{page.relative_to(root)}: docs/README.md has no link to it"


def is_sentence(text: str) -> bool:
    return sum(bool(re.search("[A-Za-z]", word)) for word in text.split()) > 1


def literals(header: str):
    """The string literals of a header, those side by side joined, assembly left out."""
    code = re.sub(r"(?s)\basm\(.*?\);", "", re.sub(r"//[^\n]*", "", header))
    for literal in re.findall(r'"([^"\n]*)"', re.sub(r'"\s*\n\s*"', "", code)):
        yield literal.removeprefix("distill: ").replace("`", "").strip(" ,:;")


def strange_messages(root: Path, pages):
    page = root / "docs/errors.md"
    headers = sorted((root / "include").rglob("*.[chp]*"))
    found = {text: path for path in headers for text in literals(path.read_text(encoding="utf-8")) if len(text) > 3}
    rows = [row.replace("\\|", "|") for row in re.findall(r"^\| `([^`]+)` \|", pages[page], re.MULTILINE)]
    for text, path in found.items():
        if is_sentence(text) and not any(text in row for row in rows):
            yield f"{path.relative_to(root)}: docs/errors.md does not have this message: {text}"
    for row in rows:
        rest = row
        for text in sorted(found, key=len, reverse=True):
            rest = rest.replace(text, "…")
        if any(is_sentence(part) for part in rest.split("…")):
            yield f"docs/errors.md: no header has this message: {row}"


def missing_objectives(root: Path, pages):
    rows = re.findall(r"^\| `(\w+)", pages[root / "docs/objectives.md"], re.MULTILINE)
    for folder in ("divergence", "token", "normalizer", "composition", "reduction"):
        for path in sorted((root / "include/distill" / folder).glob("*.hpp")):
            if path.stem not in rows:
                yield f"{path.relative_to(root)}: docs/objectives.md has no row for {path.stem}"


def main() -> int:
    root = Path(sys.argv[1]).resolve()
    paths = [root / "README.md", root / "CONTRIBUTING.md", *sorted(root.glob("docs/**/*.md"))]
    pages = {path: path.read_text(encoding="utf-8") for path in paths}
    rules = (strange_blocks, broken_links, strange_messages, missing_objectives)
    failures = [failure for rule in rules for failure in rule(root, pages)]
    print("\n".join(failures) or f"{len(pages)} pages: every block, link, message and row is as it should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
