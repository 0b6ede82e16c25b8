"""Holds the registers, spills and stack of every kernel of a source to a committed table.

usage: check_resources.py SOURCE TABLE.json ARCHITECTURE NVCC FLAGS...
       check_resources.py --write SOURCE TABLE.json NVCC FLAGS...      (all architectures of the table, anew)

A kernel may use fewer registers than the table says, and not more; no more bytes of spills and of stack either.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile


def resources(source, architecture, command):
    """{kernel: {registers, stack, spills}} as ptxas reports it, the kernel by its name and its objective's types."""
    with tempfile.TemporaryDirectory() as folder:
        built = subprocess.run([*command, "-std=c++20", "--expt-relaxed-constexpr", "-Werror", "all-warnings", "-Xptxas", "-v",
                                f"-arch={architecture}", "-cubin", "-o", str(pathlib.Path(folder) / "kernels.cubin"), source],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode != 0:
        sys.exit(built.stdout)
    found = {}
    for part in built.stdout.split("Compiling entry function '")[1:]:
        name = short_name(subprocess.run(["c++filt", part.split("'")[0]], stdout=subprocess.PIPE, text=True, check=True).stdout)
        number = lambda pattern: int(match.group(1)) if (match := re.search(pattern, part)) else 0
        found[name] = {"registers": number(r"Used (\d+) registers"), "stack": number(r"(\d+) bytes stack frame"),
                       "spills": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")}
    return found


def short_name(demangled):
    name = re.sub(r"distill::|kernel::|device::", "", demangled).strip()
    kernel = re.match(r"void (\w+)<", name).group(1)
    objective = re.search(r"objective<(.*?)> ?>? ?>, (\w+), (\w+), (\w+),", name)
    terms = re.sub(r"term_group<inherited_temperature, ", "", objective.group(1)).rstrip("> ")
    return f"{kernel} of {terms}, {objective.group(2)}, {objective.group(3)}"


def main():
    write = sys.argv[1] == "--write"
    source, table_file, *rest = sys.argv[2:] if write else sys.argv[1:]
    table_path = pathlib.Path(table_file)
    if write:
        table = {architecture: resources(source, architecture, rest) for architecture in ("sm_75", "sm_80", "sm_90", "sm_100")}
        table_path.write_text(json.dumps(table, indent=1) + "\n")
        return 0
    architecture, *command = rest
    allowed, found = json.loads(table_path.read_text())[architecture], resources(source, architecture, command)
    failures = [f"{name} is not in the table" for name in found if name not in allowed]
    failures += [f"{name} is not compiled" for name in allowed if name not in found]
    for name in sorted(set(found) & set(allowed)):
        failures += [f"{name}: {found[name][what]} {what}, the table allows {allowed[name][what]}"
                     for what in allowed[name] if found[name][what] > allowed[name][what]]
    print("\n".join(failures) or f"{architecture}: {len(found)} kernels within the table")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
