"""Holds what nvcc makes of the kernels of a source: registers, shared memory, 16-byte accesses; and nothing in local memory.

usage: check_resources.py SOURCE TABLE.json ARCHITECTURE NVCC FLAGS...
       check_resources.py --catalogue SOURCE NVCC FLAGS...             (every architecture, from one PTX; no table)
       check_resources.py --write SOURCE TABLE.json NVCC FLAGS...      (all architectures of the table, anew)
       check_resources.py --page TABLE.json PAGE.md [--check]          (writes the page's tables, or looks whether they are written)

A kernel has no spilled registers and no stack. It may use fewer registers than the table says, and not more; no more bytes of
shared memory either; and no fewer loads and stores of 16 bytes.

The table has what instructions the kernels on rows consist of, too. --write counts them in what nvdisasm prints, which stands in
the Toolkit's folder, on the PATH, or is named by the environment's NVDISASM; PyPI has it as nvidia-cuda-nvdisasm. They are no
budget: the page shows them.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
DISASSEMBLED = "sm_90"
AT_LEAST = ("wide_loads", "wide_stores")
OF_ROWS = "run_rows of "

# Of a multiprocessor: warps it holds; every one has 65536 registers, given to warps 256 at a time. CUDA C++ Programming Guide,
# "Compute Capabilities".
WARPS = {"sm_75": 32, "sm_80": 64, "sm_90": 64, "sm_100": 64}
REGISTERS, REGISTERS_AT_ONCE, WARP = 65536, 256, 32
WARPS_OF_BLOCK = 8


def compiled(source, command, folder, *flags):
    """What nvcc says of the source's kernels, the cubin and the PTX in the folder."""
    built = subprocess.run([*command, "-std=c++20", "--expt-relaxed-constexpr", "-Werror", "all-warnings", "-Xptxas", "-v",
                            *flags, "--keep", "--keep-dir", folder, source],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode != 0:
        sys.exit(built.stdout)
    return built.stdout


def reports(output):
    """(mangled name, architecture, what ptxas says) of every kernel."""
    for part in output.split("Compiling entry function '")[1:]:
        mangled, architecture = re.match(r"(\w+)' for '(\w+)'", part).groups()
        yield mangled, architecture, part


def number_in(pattern, text):
    return int(match.group(1)) if (match := re.search(pattern, text)) else 0


def in_local_memory(report):
    return sum(number_in(pattern, report) for pattern in (r"(\d+) bytes stack frame", r"(\d+) bytes spill stores",
                                                          r"(\d+) bytes spill loads"))


def demangled(name):
    return subprocess.run(["c++filt", name], stdout=subprocess.PIPE, text=True, check=True).stdout


def resources(source, architecture, command, disassembler=None):
    """{kernel: numbers} as ptxas reports them and the PTX has them, the kernel by its name and its objective's types; and of the
    kernels that have registers or a stack in local memory, sentences."""
    found, wide, mixes, local = {}, {}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        cubin = str(pathlib.Path(folder) / "kernels.cubin")
        output = compiled(source, command, folder, f"-arch={architecture}", "-cubin", "-o", cubin)
        ptx = (pathlib.Path(folder) / pathlib.Path(source).stem).with_suffix(".ptx").read_text()
        if disassembler is not None:
            mixes = instructions(disassembler, cubin)
    for part in ptx.split(".entry ")[1:]:
        accesses = lambda kind: len(re.findall(rf"{kind}\.global\.(?:v4\.\w32|v2\.\w64)", part))
        wide[part.split("(")[0].strip()] = {"wide_loads": accesses("ld"), "wide_stores": accesses("st")}
    for mangled, _, report in reports(output):
        name = short_name(demangled(mangled))
        found[name] = {"registers": number_in(r"Used (\d+) registers", report),
                       "shared": number_in(r"(\d+) bytes smem", report), **wide[mangled]}
        if mangled in mixes and name.startswith(OF_ROWS):
            found[name]["instructions"] = mixes[mangled]
        if in_local_memory(report) > 0:
            local.append(f"{name}: {in_local_memory(report)} bytes of stack and spills for {architecture}")
    return found, local


def find_disassembler(nvcc):
    beside = pathlib.Path(shutil.which(nvcc) or nvcc).resolve().parent / "nvdisasm"
    for candidate in (os.environ.get("NVDISASM"), str(beside), "nvdisasm"):
        if candidate and shutil.which(candidate):
            return candidate
    sys.exit("--write counts instructions with nvdisasm, and finds none: name it in NVDISASM (PyPI: nvidia-cuda-nvdisasm)")


# Opcodes of the SASS by what they ask of a multiprocessor; NVIDIA, CUDA Binary Utilities, "Instruction Set Reference".
KINDS = {"float": ("FFMA", "FADD", "FMUL"), "special": ("MUFU",), "double": ("DFMA", "DADD", "DMUL", "DSETP", "DMNMX"),
         "loads": ("LDG", "LD"), "stores": ("STG", "ST"), "shared": ("LDS", "STS"), "shuffles": ("SHFL",), "barriers": ("BAR",),
         "local": ("LDL", "STL")}
SHOWN = ("all", "float", "special", "double", "loads", "stores", "shared", "shuffles", "barriers")


def instructions(disassembler, cubin):
    """{mangled name: {kind: count}} of every kernel."""
    text = subprocess.run([disassembler, "-c", cubin], stdout=subprocess.PIPE, text=True, check=True).stdout
    mixes = {}
    for part in re.split(r"(?m)^\.text\.(?=\w+:)", text)[1:]:
        code = re.split(r"(?m)^\s*\.section", part)[0]
        opcodes = collections.Counter(re.findall(r"(?m)^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)", code))
        opcodes.pop("NOP", None)
        mixes[part.split(":")[0]] = {"all": sum(opcodes.values()),
                                     **{kind: sum(opcodes[o] for o in of_kind) for kind, of_kind in KINDS.items()}}
    return mixes


def short_name(demangled):
    name = re.sub(r"distill::(?:v\d\w*::)?|row::|call::|device::|detail::", "", demangled).strip()
    kernel = re.match(r"void (\w+)<", name).group(1)
    objective = re.search(r"objective<(.*?)> ?>? ?>, (\w+), (\w+), (\w+),", name)
    terms = re.sub(r"term_group<inherited_temperature, ", "", objective.group(1)).rstrip("> ")
    return f"{kernel} of {terms}, {objective.group(2)}, {objective.group(3)}"


def warps_at_once(registers, architecture):
    of_warp = -(-registers * WARP // REGISTERS_AT_ONCE) * REGISTERS_AT_ONCE
    return min(REGISTERS // of_warp // WARPS_OF_BLOCK * WARPS_OF_BLOCK, WARPS[architecture])


def shown_name(name):
    """The objective as it is written, and the element type."""
    objective, element = re.match(OF_ROWS + r"(.*), \w+, (\w+)$", name).groups()
    objective = re.sub(r"gated<(\w+), (\w+)", r"where(\1, \2)", objective)
    if "where" not in objective:
        objective = re.sub(r"(\w+)<(\w+)$", r"\1{\2}", objective).replace(", ", " + ")
    return f"`{objective}`, {element.strip('_')}"


def resources_of_page(table):
    """A row for every kernel that works on rows, a column for every architecture."""
    lines = ["| kernel of | shared | " + " | ".join(table) + " |", "|---|---|" + "---|" * len(table)]
    for name, newest in table[ARCHITECTURES[-1]].items():
        if not name.startswith(OF_ROWS):
            continue
        cells = [f"{registers}, {warps_at_once(registers, architecture)} of {WARPS[architecture]}"
                 for architecture, kernels in table.items() for registers in [kernels[name]["registers"]]]
        lines.append(f"| {shown_name(name)} | {newest['shared']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def instructions_of_page(table):
    lines = ["| kernel of | " + " | ".join(SHOWN) + " |", "|---" * (1 + len(SHOWN)) + "|"]
    for name, numbers in table[DISASSEMBLED].items():
        if name.startswith(OF_ROWS):
            lines.append(f"| {shown_name(name)} | " + " | ".join(str(numbers["instructions"][kind]) for kind in SHOWN) + " |")
    return "\n".join(lines)


def write_page(table, page, check):
    text = written = page.read_text()
    for mark, rows in (("resources", resources_of_page(table)), ("instructions", instructions_of_page(table))):
        written, blocks = re.subn(rf"(?s)(<!-- {mark} -->\n)(?:.*?\n)?(<!-- end -->)",
                                  lambda m: f"{m.group(1)}{rows}\n{m.group(2)}", written)
        if blocks != 1:
            sys.exit(f"{page.name} has {blocks} blocks <!-- {mark} -->, expected 1")
    if check:
        print(f"{page.name} has the tables" if written == text else f"{page.name} has other tables than the measurement: --page writes them")
        return 0 if written == text else 1
    page.write_text(written)
    return 0


def problems_of(name, found, allowed):
    for what, limit in allowed.items():
        if what != "instructions" and (found[what] < limit if what in AT_LEAST else found[what] > limit):
            yield f"{name}: {found[what]} {what.replace('_', ' ')}, the table has {limit}"


def check_catalogue(source, command):
    """One PTX serves all architectures: the front end takes most of the time."""
    targets = ",".join(ARCHITECTURES)
    with tempfile.TemporaryDirectory() as folder:
        output = compiled(source, command, folder, "-gencode", f"arch=compute_{ARCHITECTURES[0][3:]},code=[{targets}]", "-fatbin",
                          "-o", str(pathlib.Path(folder) / "kernels.fatbin"))
    found = list(reports(output))
    failures = [f"{in_local_memory(report)} bytes of stack and spills for {architecture}: {demangled(mangled)}"
                for mangled, architecture, report in found if in_local_memory(report) > 0]
    failures += [f"no kernel is compiled for {architecture}" for architecture in ARCHITECTURES
                 if architecture not in (one[1] for one in found)]
    print("\n".join(failures) or f"{len(found)} kernels, none with anything in local memory")
    return 1 if failures else 0


def write_table(source, path, command):
    disassembler = find_disassembler(command[0])
    table, failures = {}, []
    for architecture in ARCHITECTURES:
        table[architecture], local = resources(source, architecture, command,
                                               disassembler if architecture == DISASSEMBLED else None)
        failures += local
    if failures:
        sys.exit("\n".join(failures))
    path.write_text(json.dumps(table, indent=1) + "\n")
    return 0


def main():
    mode, *rest = sys.argv[1:] if sys.argv[1].startswith("--") else ("", *sys.argv[1:])
    if mode == "--page":
        return write_page(json.loads(pathlib.Path(rest[0]).read_text()), pathlib.Path(rest[1]), rest[2:] == ["--check"])
    if mode == "--catalogue":
        return check_catalogue(rest[0], rest[1:])
    source, table_file, *command = rest
    table_path = pathlib.Path(table_file)
    if mode == "--write":
        return write_table(source, table_path, command)
    architecture, *command = command
    allowed, (found, failures) = json.loads(table_path.read_text())[architecture], resources(source, architecture, command)
    failures += [f"{name} is not in the table" for name in found if name not in allowed]
    failures += [f"{name} is not compiled" for name in allowed if name not in found]
    for name in sorted(set(found) & set(allowed)):
        failures += problems_of(name, found[name], allowed[name])
    print("\n".join(failures) or f"{architecture}: {len(found)} kernels within the table")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
