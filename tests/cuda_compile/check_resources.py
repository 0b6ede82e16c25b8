"""Holds what nvcc makes of every kernel of a source to a committed table: registers, spills, stack, shared memory, 16-byte accesses.

usage: check_resources.py SOURCE TABLE.json ARCHITECTURE NVCC FLAGS...
       check_resources.py --write SOURCE TABLE.json NVCC FLAGS...      (all architectures of the table, anew)
       check_resources.py --page TABLE.json PAGE.md [--check]          (writes the page's table, or looks whether it is written)

A kernel may use fewer registers than the table says, and not more; no more bytes of spills, stack and shared memory either; and no
fewer loads and stores of 16 bytes.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
AT_LEAST = ("wide_loads", "wide_stores")

# Of a multiprocessor: warps it holds; every one has 65536 registers, given to warps 256 at a time. CUDA C++ Programming Guide,
# "Compute Capabilities".
WARPS = {"sm_75": 32, "sm_80": 64, "sm_90": 64, "sm_100": 64}
REGISTERS, REGISTERS_AT_ONCE, WARP = 65536, 256, 32
WARPS_OF_BLOCK = 8


def resources(source, architecture, command):
    """{kernel: numbers} as ptxas reports them and the PTX has them, the kernel by its name and its objective's types."""
    with tempfile.TemporaryDirectory() as folder:
        built = subprocess.run([*command, "-std=c++20", "--expt-relaxed-constexpr", "-Werror", "all-warnings", "-Xptxas", "-v",
                                f"-arch={architecture}", "-cubin", "--keep", "--keep-dir", folder,
                                "-o", str(pathlib.Path(folder) / "kernels.cubin"), source],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if built.returncode != 0:
            sys.exit(built.stdout)
        ptx = (pathlib.Path(folder) / pathlib.Path(source).stem).with_suffix(".ptx").read_text()
    wide = {}
    for part in ptx.split(".entry ")[1:]:
        accesses = lambda kind: len(re.findall(rf"{kind}\.global\.(?:v4\.\w32|v2\.\w64)", part))
        wide[part.split("(")[0].strip()] = {"wide_loads": accesses("ld"), "wide_stores": accesses("st")}
    found = {}
    for part in built.stdout.split("Compiling entry function '")[1:]:
        mangled = part.split("'")[0]
        name = short_name(subprocess.run(["c++filt", mangled], stdout=subprocess.PIPE, text=True, check=True).stdout)
        number = lambda pattern: int(match.group(1)) if (match := re.search(pattern, part)) else 0
        found[name] = {"registers": number(r"Used (\d+) registers"), "stack": number(r"(\d+) bytes stack frame"),
                       "spills": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
                       "shared": number(r"(\d+) bytes smem"), **wide[mangled]}
    return found


def short_name(demangled):
    name = re.sub(r"distill::|kernel::|device::|detail::", "", demangled).strip()
    kernel = re.match(r"void (\w+)<", name).group(1)
    objective = re.search(r"objective<(.*?)> ?>? ?>, (\w+), (\w+), (\w+),", name)
    terms = re.sub(r"term_group<inherited_temperature, ", "", objective.group(1)).rstrip("> ")
    return f"{kernel} of {terms}, {objective.group(2)}, {objective.group(3)}"


def warps_at_once(registers, architecture):
    of_warp = -(-registers * WARP // REGISTERS_AT_ONCE) * REGISTERS_AT_ONCE
    return min(REGISTERS // of_warp // WARPS_OF_BLOCK * WARPS_OF_BLOCK, WARPS[architecture])


def page_table(table):
    """A row for every kernel that works on rows, a column for every architecture."""
    lines = ["| kernel of | shared | " + " | ".join(table) + " |", "|---|---|" + "---|" * len(table)]
    for name in table[ARCHITECTURES[-1]]:
        if not name.startswith("run_rows of "):
            continue
        objective, element = re.match(r"run_rows of (.*), \w+, (\w+)$", name).groups()
        objective = re.sub(r"gated<(\w+), (\w+)", r"where(\1, \2)", objective)
        objective = re.sub(r"(\w+)<(\w+)$", r"\1{\2}", objective).replace(", ", " + ") if "where" not in objective else objective
        cells = []
        for architecture, kernels in table.items():
            one = kernels[name]
            spills = f", {one['spills']} spilled" if one["spills"] else ""
            cells.append(f"{one['registers']}, {warps_at_once(one['registers'], architecture)} of {WARPS[architecture]}{spills}")
        lines.append(f"| `{objective}`, {element.strip('_')} | {table[ARCHITECTURES[-1]][name]['shared']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_page(table, page, check):
    text = page.read_text()
    written = re.sub(r"(?s)(<!-- resources -->\n).*?(\n<!-- end -->)", lambda m: m.group(1) + page_table(table) + m.group(2), text)
    if check:
        print(f"{page.name} has the table" if written == text else f"{page.name} has another table than the measurement: --page writes it")
        return 0 if written == text else 1
    page.write_text(written)
    return 0


def problems_of(name, found, allowed):
    for what, limit in allowed.items():
        if found[what] < limit if what in AT_LEAST else found[what] > limit:
            yield f"{name}: {found[what]} {what.replace('_', ' ')}, the table has {limit}"


def main():
    mode, *rest = sys.argv[1:] if sys.argv[1].startswith("--") else ("", *sys.argv[1:])
    if mode == "--page":
        return write_page(json.loads(pathlib.Path(rest[0]).read_text()), pathlib.Path(rest[1]), rest[2:] == ["--check"])
    source, table_file, *command = rest
    table_path = pathlib.Path(table_file)
    if mode == "--write":
        table = {architecture: resources(source, architecture, command) for architecture in ARCHITECTURES}
        table_path.write_text(json.dumps(table, indent=1) + "\n")
        return 0
    architecture, *command = command
    allowed, found = json.loads(table_path.read_text())[architecture], resources(source, architecture, command)
    failures = [f"{name} is not in the table" for name in found if name not in allowed]
    failures += [f"{name} is not compiled" for name in allowed if name not in found]
    for name in sorted(set(found) & set(allowed)):
        failures += problems_of(name, found[name], allowed[name])
    print("\n".join(failures) or f"{architecture}: {len(found)} kernels within the table")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
