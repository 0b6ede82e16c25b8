"""Translation units of different flags share no code that only some processors run, and work in one program in any order.

usage: check.py COMPILER FLAGS...

plain.cpp is compiled for any x86-64 processor, wide.cpp for others. Of functions of one name a linker keeps one, that of the object
it is given first. So no function of the library may have the same name in two objects (core/abi.hpp), and no function of the
standard library that both hold may have an instruction which the plain object's processor lacks. The programs run in both
orders on an emulated processor of 2008, and with calls of the wide unit where this machine has its instructions; either is left
out, and said to be, where it cannot be had.
"""

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# The wide unit's flags, and what this machine has to support for it to be called.
WIDE = {"-march=skylake-avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "adx", "clflushopt"},
        "-march=haswell": {"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe"}}
# The wide units at each level of optimisation.
LEVELS = {"-O0": ["-march=haswell"], "-O2": [*WIDE]}
# Flags each of which changes what a compiler may make of the library; one that a compiler does not know is left out.
NAMED = ("-msse3 -mssse3 -msse4.1 -msse4.2 -mavx -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt -mmovbe -mavx512f -mavx512cd "
         "-mavxvnni -mavx512vbmi -mavx512vbmi2 -mavx512ifma -mavx512bitalg -mavx512vpopcntdq -mavx512bf16 -mgfni -mfma4 -mxop -mtbm "
         "-ffast-math -fno-exceptions -DDISTILL_BASELINE_ONLY").split()
EMULATED = ["qemu-x86_64", "-cpu", "Nehalem"]

# What is one thing in the whole program: the exception, the error handler, the count of rows in use.
SHARED = re.compile(r"distill::v\d+_\d+_\d+::(invalid_input|whole_program::)")
# Beyond x86-64's first: all that has a VEX or EVEX prefix, and the integer instructions that came with it.
NEWER = re.compile(r"(v(?!err|erw|mcall|mlaunch)\w+|andn|bextr|bls(i|r|msk)|bzhi|lzcnt|movbe|mulx|pdep|pext|popcnt|rorx|[rs]ar?x|shlx|"
                   r"shrx|sarx|tzcnt|adcx|adox|k(mov|and|or|xor|test|ortest)\w*)$")


def output_of(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


def demangled(names):
    if not names:
        return []
    return subprocess.run(["c++filt"], input="\n".join(names), check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


def shareable(compiled):
    """The names of which a linker keeps one of several: weak functions and objects, unique objects."""
    fields = [line.split() for line in output_of("nm", "--defined-only", compiled)]
    return {name for *_, kind, name in fields if kind in "WVu"}


def newer_instructions(compiled):
    """By function, the instructions that the plain object's processor need not have."""
    found, function = {}, None
    for line in output_of("objdump", "--disassemble", "--no-show-raw-insn", compiled):
        if match := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            function = match.group(1)
        elif (parts := line.split("\t"))[1:] and NEWER.match(parts[1].split(" ")[0]):
            found.setdefault(function, set()).add(parts[1].split(" ")[0])
    return found


def faults_of_names(a, b):
    both = sorted(shareable(a) & shareable(b))
    for name in demangled(both):
        if "distill" in name and not SHARED.search(name):
            yield f"{a.name} and {b.name} share {name}"
    for compiled in (a, b):
        newer = newer_instructions(compiled)
        if "plain" not in compiled.name and not newer:
            yield f"{compiled.name} has no instruction of its flags: nothing is tested"
        for name in both:
            if name in newer:
                yield f"{compiled.name} has {', '.join(sorted(newer[name]))} in {demangled([name])[0]}, which {a.name} and {b.name} share"


def name_of_namespace(compiler, *flags):
    """DISTILL_ABI under these flags; None where the compiler does not know them."""
    done = subprocess.run([*compiler, *flags, "-E", "-P", "-x", "c++", "-"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, input="#include <distill/core/abi.hpp>\nDISTILL_ABI\n")
    return done.stdout.split()[-1] if done.returncode == 0 else None


def flags_without_a_name(compiler):
    # AVX-512's parts are told apart beside its base alone.
    for flag in NAMED:
        base = ["-mavx512f"] if flag.startswith("-mavx512") and flag != "-mavx512f" else []
        name = name_of_namespace(compiler, *base, flag)
        if name is not None and name == name_of_namespace(compiler, *base):
            yield f"{flag} does not change the name of the namespace, {name}"


def supported():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split())
    return set()


def run(*command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return [] if done.returncode == 0 else [f"{' '.join(map(str, command))}: status {done.returncode}: {done.stdout.strip()}"]


def faults(folder, compiler, level):
    def compiled(name, *flags):
        target = folder / f"{name}.o"
        source = HERE / f"{name.split('.')[0]}.cpp"
        subprocess.run([*compiler, level, *flags, "-c", source, "-o", target], check=True)
        return target

    plain = compiled("plain")
    wide = {flag: compiled("wide." + flag.split("=")[1], flag) for flag in LEVELS[level]}
    for a, b in itertools.combinations((plain, *wide.values()), 2):
        yield from faults_of_names(a, b)
    for flag, other in wide.items():
        for order, objects in (("plain first", (plain, other)), ("wide first", (other, plain))):
            program = folder / f"{order.replace(' ', '_')}{flag}"
            subprocess.run([compiler[0], *objects, "-o", program], check=True)
            if shutil.which(EMULATED[0]):
                yield from run(*EMULATED, program)
            else:
                print(f"not run: there is no {EMULATED[0]} here")
            if WIDE[flag] <= supported():
                yield from run(program, "wide")
            else:
                print(f"not run: this machine has not what {flag} needs")


def main():
    compiler = sys.argv[1:]
    found = [*flags_without_a_name(compiler)]
    for level in LEVELS:
        with tempfile.TemporaryDirectory() as folder:
            found += [f"{level}: {fault}" for fault in faults(Path(folder), compiler, level)]
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
