"""The rules of the source tree that no compiler checks.

usage: check_architecture.py REPOSITORY

Prints every violation as file:line: sentence. A rule is a generator of (path, line, sentence), registered in RULES.
"""

import pathlib
import re
import statistics
import subprocess
import sys

# A header includes the rooms of its own row and nothing else of the library. A room that names itself may include its own files,
# without a cycle; in all others siblings never include one another. The longest matching key counts, for the header and for
# what it includes: a `detail` belongs to the room around it.
LAYERS = {
    "core": {"core"},
    "objective": {"core", "objective"},
    "divergence": {"core", "objective"},
    "normalizer": {"core", "objective"},
    "token": {"core", "objective", "token/detail"},
    "token/detail": {"core"},
    "reduction": {"core"},
    "composition": {"core", "objective", "divergence", "token"},
    "check": {"core", "objective", "check"},
    "row": {"core", "objective", "row"},
    "call": {"core", "objective", "row", "call"},
    "backend": {"core", "row", "call", "backend"},
    "diagnosis": {"core", "diagnosis"},
    "training": {"core", "training/detail"},
    "training/detail": {"core"},
    "interop": {"core", "interop/detail"},
    "interop/detail": {"core", "interop/detail"},
    "loss.hpp": {"core", "objective", "check", "row", "call"},
    "head": {"core", "check", "row", "call", "backend", "loss.hpp", "head"},
    "diagnose.hpp": {"core", "objective", "divergence", "check", "row", "call", "diagnosis", "loss.hpp"},
    "distill.hpp": {"core", "objective", "divergence", "token", "normalizer", "reduction", "training", "composition", "diagnosis",
                    "backend", "loss.hpp", "diagnose.hpp"},
}

# The libraries of others that a header may name, as the first part of the include; elsewhere none.
OTHERS = {
    "backend/simd/neon.hpp": {"arm_neon.h"},
    "backend/executor/openmp.hpp": {"omp.h"},
    "backend/executor/thread_pool.hpp": {"unsupported"},
    "backend/cuda.cuh": {"cuda_runtime.h", "cuda_fp16.h", "cuda_bf16.h", "cub"},
    "backend/cuda": {"cuda_runtime.h", "cuda_fp16.h", "cuda_bf16.h", "cub"},
    "head/eigen_product.hpp": {"Eigen"},
    "head/dnnl_product.hpp": {"oneapi"},
    "interop/eigen.hpp": {"Eigen"},
    "interop/xtensor.hpp": {"xtensor", "xtl"},
    "interop/dlpack.hpp": {"dlpack"},
    "interop/torch.hpp": {"ATen", "torch"},
}

# The headers that name a processor: the choice among them, their own, and the names of their flags.
OF_PROCESSORS = ("backend/simd/target.hpp", "backend/simd/x86.hpp", "backend/simd/neon.hpp", "core/abi.hpp")

DOCUMENTED = ("divergence", "token", "normalizer")
DOCUMENTATION = ("Summand", "Derivative", "Domain", "At p = q", "Accuracy", "Source")
ONE_STRUCT = ("divergence", "token", "normalizer", "reduction", "composition")
NAMED_AFTER_CONTENT = (*ONE_STRUCT, "training", "backend/executor", "backend/reference.hpp", "backend/eigen.hpp", "loss.hpp",
                       "diagnose.hpp")
INCLUDED_TWICE = "core/macros_of_others.hpp"  # sets macros aside, and gives them back
IN_UMBRELLA = ("divergence", "token", "normalizer", "reduction", "composition")
LONGEST_HEADER, LARGEST_MEDIAN, LONGEST_CONTRIBUTING, LONGEST_LINE = 450, 120, 20, 125

INCLUDE = re.compile(r"^\s*#\s*include\s*(<[^>]+>|\"[^\"]+\"|\S+)")
STRING = re.compile(r'"[^"]*"')
STANDARD = re.compile(r"^[a-z0-9_]+$")
TYPE = re.compile(r"^(?:struct|class)\s+(?:alignas\S+\s+)?(\w+)\s*(?:final\s*)?(?::[^:]|\{|$)")
FUNCTION = re.compile(r"(?:[\w:<>,&*\[\]]+\s+)+(\w+)\(")
PROCESSOR = re.compile(r"\b__(?:x86_64|AVX|SSE|FMA__|F16C|aarch64|AARCH64|ARM_)\w*|\bDISTILL_TARGET_\w+")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
ABSOLUTE = re.compile(r"(?<![\w.)}\]$*~/-])/(?:work|root|tmp|home)\b(?!\s*=)")
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|(?:src|href|srcset)=\"([^\"]+)\"")


class Header:
    """A header below include/distill: its name there, its lines, its includes as (line, spelling)."""

    def __init__(self, path, folder):
        self.path = path
        self.name = path.relative_to(folder).as_posix()
        self.lines = path.read_text().splitlines()
        self.code = [line.split("//")[0] for line in self.lines]
        self.includes = [(number, match.group(1)) for number, line in enumerate(self.code, start=1)
                         if (match := INCLUDE.match(line))]

    def below(self, *folders):
        """In one of these folders, or the file itself; a `detail` below a folder is not meant."""
        return any(self.name == folder or self.name.startswith(folder + "/") and "/detail/" not in self.name for folder in folders)

    def types(self):
        """(line, name) of the structs and classes that are defined in namespace distill itself."""
        hidden = False
        for number, line in enumerate(self.code, start=1):
            if re.match(r"\s*namespace\s+(?:\w+::)*detail\b", line):
                hidden = True
            elif re.match(r"\}\s*$", line) and "namespace detail" in self.lines[number - 1]:
                hidden = False
            match = TYPE.match(line)
            if match and not hidden:
                yield number, match.group(1)


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.folder = self.root / "include" / "distill"
        self.headers = [Header(path, self.folder) for path in sorted(self.folder.rglob("*"))
                        if path.suffix in (".hpp", ".cuh", ".h", ".cuhpp")]

    def files(self):
        """The files that belong to the repository; without git, all but build folders."""
        listed = subprocess.run(["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                check=False)
        if listed.returncode == 0:
            paths = [self.root / name for name in listed.stdout.split("\0") if name]
        else:
            paths = [path for path in self.root.rglob("*")
                     if not {"build", ".git", "__pycache__"} & set(path.relative_to(self.root).parts)]
        return sorted(path for path in paths if path.is_file())

    def markdown(self):
        return [path for path in self.files() if path.suffix == ".md"
                and (path.parent == self.root or "docs" in path.relative_to(self.root).parts)]


def longest_match(table, name, default):
    keys = [key for key in table if name == key or name.startswith(key + "/")]
    return table[max(keys, key=len)] if keys else default


def room_of(name):
    """The folder of LAYERS that a header belongs to; a header below include/distill itself is a room of its own."""
    rooms = [room for room in LAYERS if name == room or name.startswith(room + "/")]
    return max(rooms, key=len) if rooms else name.split("/")[0]


def lines_of(path):
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError:
        return []


def includes_are_spelled_from_the_root(tree):
    known = {"distill/" + header.name for header in tree.headers}
    for header in tree.headers:
        for line, spelling in header.includes:
            target = spelling.strip("<>\"")
            if not spelling.startswith("<"):
                yield header.path, line, f"an include is spelled with angle brackets, <distill/...>: {spelling}"
            elif target.startswith("distill/") and target not in known:
                yield header.path, line, f"an include names a header that exists: {spelling}"


def a_header_includes_lower_layers_only(tree):
    for header in tree.headers:
        allowed = longest_match(LAYERS, header.name, None)
        if allowed is None:
            yield header.path, 1, "a header stands in a folder that the table of layers names"
            continue
        for line, spelling in header.includes:
            target = spelling.strip("<>\"")
            if not target.startswith("distill/"):
                continue
            inner = target.removeprefix("distill/")
            if room_of(inner) not in allowed:
                yield header.path, line, (f"a header includes lower layers only, and no sibling: {header.name} may include "
                                          f"{', '.join(sorted(allowed))}, not {inner}")
            elif inner.endswith(".cuh") and not header.name.endswith(".cuh"):
                yield header.path, line, f"only a .cuh header includes a .cuh header, not {inner}"


def includes_have_no_cycle(tree):
    by_name = {header.name: header for header in tree.headers}
    state = {}

    def visit(name, trail):
        state[name] = "open"
        for line, spelling in by_name[name].includes:
            inner = spelling.strip("<>\"").removeprefix("distill/")
            if inner not in by_name:
                continue
            if state.get(inner) == "open":
                cycle = [*trail, name][[*trail, name].index(inner):]
                yield by_name[name].path, line, f"includes have no cycle: {' -> '.join([*cycle, inner])}"
            elif inner not in state:
                yield from visit(inner, [*trail, name])
        state[name] = "closed"

    for name in by_name:
        if name not in state:
            yield from visit(name, [])


def other_libraries_are_named_at_the_border(tree):
    for header in tree.headers:
        allowed = longest_match(OTHERS, header.name, set())
        for line, spelling in header.includes:
            target = spelling.strip("<>\"")
            if not spelling.startswith("<") or target.startswith("distill/") or STANDARD.match(target):
                continue
            if target.split("/")[0] not in allowed:
                yield header.path, line, ("a library of others is named at the border only, in backend/ and interop/: "
                                          f"{spelling}")


def a_processor_stands_in_its_own_header(tree):
    for header in tree.headers:
        for number, line in enumerate(header.code, start=1):
            if header.name not in OF_PROCESSORS and (match := PROCESSOR.search(line)):
                yield header.path, number, ("what depends on a processor stands in its own header, below backend/simd/: "
                                            f"{match.group()}")


def terms_have_a_documentation_block(tree):
    for header in tree.headers:
        if not header.below(*DOCUMENTED):
            continue
        for number, name in header.types():
            above = number - 2
            while above >= 0 and re.match(r"(?:template|requires)\b", header.lines[above]):
                above -= 1
            block = []
            while above >= 0 and header.lines[above].startswith("///"):
                block.insert(0, header.lines[above].removeprefix("///").strip())
                above -= 1
            found = [(label, line[len(label):].strip()) for line in block for label in DOCUMENTATION
                     if re.match(rf"{re.escape(label)}(?:\s{{2,}}|$)", line)]
            if tuple(label for label, _ in found) != DOCUMENTATION or not all(text for _, text in found):
                yield header.path, number, (f"a term's documentation block has the lines {', '.join(DOCUMENTATION)} in this "
                                            f"order: {name} has {', '.join(label for label, text in found if text) or 'none'}")
            elif block[0].startswith(DOCUMENTATION[0]):
                yield header.path, number, f"a term's documentation block begins with what the term is: {name}"


def a_file_is_named_after_what_it_holds(tree):
    for header in tree.headers:
        stem = pathlib.PurePosixPath(header.name).stem
        for part in pathlib.PurePosixPath(header.name).with_suffix("").parts:
            if not re.fullmatch(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", part):
                yield header.path, 1, f"names of files and folders are snake_case: {part}"
        if not header.below(*NAMED_AFTER_CONTENT):
            continue
        types = list(header.types())
        if header.below(*ONE_STRUCT):
            for number, name in types:
                if name != stem:
                    yield header.path, number, f"a file holds the one struct it is named after: {name} in {stem}.hpp"
        functions = [match.group(1) for line in header.code if (match := FUNCTION.match(line))]
        if not any(name == stem or name.endswith("_" + stem) for name in [*functions, *(name for _, name in types)]):
            yield header.path, 1, f"a file is named after its type or function: nothing here is called {stem}"


def headers_begin_with_pragma_once(tree):
    for header in tree.headers:
        if header.name == INCLUDED_TWICE:
            continue
        first = next((number for number, line in enumerate(header.code, start=1) if line.strip()), 1)
        if not header.code or header.code[first - 1].strip() != "#pragma once":
            yield header.path, first, "a header's first line of code is #pragma once"


def macros_of_others_are_given_back(tree):
    for header in tree.headers:
        lines = [line for line, spelling in header.includes if spelling == f"<distill/{INCLUDED_TWICE}>"]
        if not lines:
            continue
        code = [number for number, line in enumerate(header.code, start=1) if line.strip()]
        if len(lines) != 2 or lines[0] != header.includes[-2][0] or lines[1] != code[-1]:
            yield header.path, lines[0], f"{INCLUDED_TWICE} is included after all other headers, and as the last line"


def headers_are_short(tree):
    for header in tree.headers:
        if len(header.lines) > LONGEST_HEADER:
            yield header.path, len(header.lines), f"a header has at most {LONGEST_HEADER} lines"
    if tree.headers:
        median = statistics.median(len(header.lines) for header in tree.headers)
        if median >= LARGEST_MEDIAN:
            yield tree.folder, 1, f"the headers' median length is below {LARGEST_MEDIAN} lines: it is {median:g}"


def lines_fit(tree):
    for header in tree.headers:
        for number, line in enumerate(header.lines, start=1):
            if len(line) > LONGEST_LINE and not STRING.search(line):
                yield header.path, number, f"a line has at most {LONGEST_LINE} characters, the column limit of .clang-format"


def the_umbrella_is_complete(tree):
    umbrella = next((header for header in tree.headers if header.name == "distill.hpp"), None)
    included = {spelling.strip("<>").removeprefix("distill/") for _, spelling in umbrella.includes} if umbrella else set()
    for header in tree.headers:
        if header.below(*IN_UMBRELLA) and header.name not in included:
            yield header.path, 1, f"distill.hpp includes every term, reduction and composition: {header.name} is missing"


def nothing_is_unfinished_or_tied_to_a_machine(tree):
    for path in tree.files():
        for number, line in enumerate(lines_of(path), start=1):
            if match := UNFINISHED.search(line):
                yield path, number, f"nothing unfinished is kept as a note in a file: {match.group(0)}"
            if match := ABSOLUTE.search(line):
                yield path, number, f"no path of one machine stands in a file: {match.group(0)}"


def links_lead_somewhere(tree):
    for path in tree.markdown():
        fenced = False
        for number, line in enumerate(lines_of(path), start=1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            if fenced:
                continue
            for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                target = (match.group(1) or match.group(2)).split("#")[0].split("?")[0]
                if not target or re.match(r"[a-z]+:", target):
                    continue
                if not (path.parent / target).exists():
                    yield path, number, f"a link leads to a file that exists: {target}"


def contributing_is_short(tree):
    path = tree.root / "CONTRIBUTING.md"
    if path.exists() and len(lines_of(path)) > LONGEST_CONTRIBUTING:
        yield path, LONGEST_CONTRIBUTING + 1, f"CONTRIBUTING.md has at most {LONGEST_CONTRIBUTING} lines"


def the_map_names_every_room(tree):
    page = tree.root / "docs" / "architecture.md"
    rooms = re.findall(r"`([a-z_]+)/`", page.read_text()) if page.exists() else []
    for folder in sorted(path.name for path in tree.folder.iterdir() if path.is_dir()) if tree.folder.exists() else []:
        if folder in LAYERS and folder not in rooms:
            yield page, 1, f"docs/architecture.md names every room: {folder}/ is missing"


RULES = (
    includes_are_spelled_from_the_root,
    a_header_includes_lower_layers_only,
    includes_have_no_cycle,
    other_libraries_are_named_at_the_border,
    a_processor_stands_in_its_own_header,
    terms_have_a_documentation_block,
    a_file_is_named_after_what_it_holds,
    headers_begin_with_pragma_once,
    macros_of_others_are_given_back,
    headers_are_short,
    lines_fit,
    the_umbrella_is_complete,
    nothing_is_unfinished_or_tied_to_a_machine,
    links_lead_somewhere,
    contributing_is_short,
    the_map_names_every_room,
)


def violations(root):
    """Every violation below a repository, as `file:line: sentence` with the file relative to it."""
    tree = Tree(root)
    if not tree.headers:
        yield f"{tree.folder.relative_to(tree.root)}:1: the library has headers"
    for rule in RULES:
        for path, line, sentence in rule(tree):
            yield f"{path.relative_to(tree.root).as_posix()}:{line}: {sentence}"


if __name__ == "__main__":
    found_violations = list(violations(sys.argv[1]))
    print("\n".join(found_violations) or "no violation")
    sys.exit(1 if found_violations else 0)
