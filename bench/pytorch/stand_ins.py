"""Lets PyTorch's wheel run on the CPU without the CUDA libraries that it is linked to.

usage: stand_ins.py SITE_PACKAGES

The wheel of PyPI for Linux is the one for CUDA. It does not load without CUDA's libraries, two gigabytes that the CPU never uses. For
each of them that is not installed as a package, this writes a stand-in into torch/lib: a library of the same name with the symbols,
and the version names, that the wheel's own libraries take from it. Every function of a stand-in returns 100, cudaErrorNoDevice. The
run-time library, libcudart, has to be the real one: package nvidia-cuda-runtime, two megabytes.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile

# NCCL gives its symbols no version name: what has none is taken for NCCL's.
WITHOUT_VERSION = "libnccl.so.2"
CUDA_LIBRARY = ("libcu", "libnv", "libnccl")
CUDA_SYMBOL = ("cu", "nv", "nccl", "__cu", "__nv", "_nv")


def output(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def symbols(library, which):
    """[(name, version)] of the dynamic symbols that `nm` lists with the option."""
    names = (line.split()[-1] for line in output("nm", "-D", which, library).splitlines() if line.strip())
    return [(name, version.lstrip("@")) for name, _, version in (full.partition("@") for full in names)]


def needed(library):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", library))


def owners(library):
    """{version name: the library that the dynamic linker looks for it in}"""
    found, owner = {}, None
    for line in output("readelf", "-W", "-V", library).splitlines():
        if file := re.search(r"File: (\S+)", line):
            owner = file.group(1)
        elif name := re.search(r"Name: (\S+)", line):
            found[name.group(1)] = owner
    return found


def write(folder, library, by_version):
    """The stand-in of a library with the symbols {version name: {symbol}}."""
    every = sorted(set().union(*by_version.values()))
    with tempfile.TemporaryDirectory() as scratch:
        source, versions = pathlib.Path(scratch, "symbols.s"), pathlib.Path(scratch, "versions")
        source.write_text(".text\n" + "".join(f".globl {name}\n.type {name},@function\n{name}:\n" for name in every) +
                          'movl $100,%eax\nret\n.section .note.GNU-stack,"",@progbits\n')
        versions.write_text("".join(f"{version} {{ global: {'; '.join(sorted(names))}; }};\n"
                                    for version, names in by_version.items() if version))
        script = [f"-Wl,--version-script,{versions}"] if any(by_version) else []
        subprocess.run(["gcc", "-shared", "-nostdlib", *script, f"-Wl,-soname,{library}", "-o", folder / library, source], check=True)


def main():
    site = pathlib.Path(sys.argv[1])
    folder = site / "torch" / "lib"
    wheel = sorted(folder.glob("libtorch*.so")) + sorted(folder.glob("libc10*.so")) + sorted(folder.glob("libcaffe2*.so"))
    installed = {path.name: path for path in site.glob("nvidia/*/lib/*.so*")}
    missing = sorted({name for library in wheel for name in needed(library)
                      if name.startswith(CUDA_LIBRARY) and name not in installed})
    defined = {name for library in [*wheel, *installed.values()] for name, _ in symbols(library, "--defined-only")}
    taken = {library: collections.defaultdict(set) for library in missing}
    for library in wheel:
        owner_of = owners(library)
        for name, version in symbols(library, "--undefined-only"):
            owner = owner_of.get(version) if version else WITHOUT_VERSION
            if owner in taken and name not in defined and (version or name.startswith(CUDA_SYMBOL)):
                taken[owner][version].add(name)
    for library, by_version in taken.items():
        write(folder, library, by_version)
    print(f"{len(taken)} stand-ins in {folder}: {', '.join(missing)}")


if __name__ == "__main__":
    main()
