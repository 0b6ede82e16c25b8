"""The headers leak no macro without the prefix DISTILL_, and neither change nor remove a macro of others.

usage: check_macros.py INCLUDE_DIRECTORY COMPILER FLAGS...
       check_macros.py --self-test COMPILER FLAGS...

The macros after all headers below INCLUDE_DIRECTORY/distill are compared with those after the headers of others that they
name. A .cuh file, and a header of a host, is read as text: what it defines has the prefix.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

INCLUDE = re.compile(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", re.MULTILINE)
DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)
PREFIX = "DISTILL_"
OF_PROCESSOR = {"arm_neon.h": "defined(__aarch64__)"}


def macros_after(headers, command):
    """{name: definition} of the macros that stand after the headers were included."""
    # clang has a processor's header on every other one too, where it does not compile.
    text = "".join(f"#if __has_include(<{header}>) && {OF_PROCESSOR.get(header, 1)}\n#include <{header}>\n#endif\n"
                   for header in headers)
    output = subprocess.run([*command, "-dM", "-E", "-x", "c++", "-"], input=text, stdout=subprocess.PIPE, text=True,
                            check=True)
    macros = {}
    for line in output.stdout.splitlines():
        match = re.match(r"#define (\w+)(.*)", line)
        if match:
            macros[match.group(1)] = match.group(2)
    return macros


# The headers of hosts: what they include is not on every machine. They are read as text.
OF_HOSTS = {"distill/interop/torch.hpp"}


def violations(include_directory, command):
    root = pathlib.Path(include_directory)
    texts = {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.glob("distill/**/*"))
             if path.suffix in (".hpp", ".cuh")}
    ours = [name for name in texts if name.endswith(".hpp") and name not in OF_HOSTS]
    others = sorted({header for name in ours for header in INCLUDE.findall(texts[name])
                     if not header.startswith("distill/")})
    before, after = macros_after(others, command), macros_after(ours, command)

    def place_of(macro):
        for name, text in texts.items():
            for match in re.finditer(rf"^\s*#\s*(?:define|undef)\s+{macro}\b", text, re.MULTILINE):
                return f"{name}:{text.count(chr(10), 0, match.start(0)) + 1}"
        return "distill"

    for macro in sorted(after.keys() - before.keys()):
        if not macro.startswith(PREFIX):
            yield f"{place_of(macro)}: leaks the macro {macro}, which lacks the prefix {PREFIX}"
    for macro in sorted(before.keys() - after.keys()):
        yield f"{place_of(macro)}: removes the macro {macro} of another library"
    for macro in sorted(before.keys() & after.keys()):
        if before[macro] != after[macro] and macro != "__COUNTER__":
            yield f"{place_of(macro)}: changes the macro {macro} of another library"
    for name, text in texts.items():
        for macro in DEFINE.findall(text) if name.endswith(".cuh") or name in OF_HOSTS else ():
            if not macro.startswith(PREFIX):
                yield f"{name}: defines the macro {macro}, which lacks the prefix {PREFIX}"


def self_test(command):
    """Planted leaks are found, and nothing else is."""
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory, "distill")
        folder.mkdir()
        folder.joinpath("clean.hpp").write_text("#pragma once\n#include <climits>\n#define DISTILL_FINE 1\n")
        if list(violations(directory, [*command, f"-I{directory}"])):
            return "a clean header is refused"
        folder.joinpath("leak.hpp").write_text("#pragma once\n#define LANES 8\n")
        folder.joinpath("removal.hpp").write_text("#pragma once\n#include <climits>\n#undef CHAR_BIT\n")
        folder.joinpath("change.hpp").write_text("#pragma once\n#include <climits>\n#undef INT_MAX\n#define INT_MAX 1\n")
        folder.joinpath("cuda.cuh").write_text("#pragma once\n#define WARP 32\n")
        found = "\n".join(violations(directory, [*command, f"-I{directory}"]))
        for expected in ("leak.hpp:2: leaks the macro LANES", "removal.hpp:3: removes the macro CHAR_BIT",
                         "change.hpp:3: changes the macro INT_MAX", "cuda.cuh: defines the macro WARP"):
            if expected not in found:
                return f"not found: {expected}\n{found}"
        if found.count("\n") != 3:
            return f"found more than was planted:\n{found}"
    return None


def main(arguments):
    if arguments[0] == "--self-test":
        problem = self_test(arguments[1:])
        print(problem or "every planted violation is found")
        return 1 if problem else 0
    found = list(violations(arguments[0], arguments[1:]))
    print("\n".join(found) or "no macro leaks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
