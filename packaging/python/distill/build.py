"""Compiles a source that includes the library's headers into a shared library, once.

The library lies in a cache under a name that is a hash of everything it is made from: the source, every header, the compiler, the flags
and the kind of processor. What lies there under its name is what would be compiled again, so it is loaded without a look at any time.

Environment:
DISTILL_CACHE        the cache's folder; else distill/compiled in XDG_CACHE_HOME, or in ~/.cache
DISTILL_COMPILE      `never`: what is not in the cache is an error, for production
DISTILL_INCLUDE      the folder that holds distill/distill.hpp; else that of this package, or of the checkout around it
DISTILL_EIGEN        the folder that holds Eigen/Core; else where pkg-config and the usual places have it
DISTILL_CXXFLAGS     flags beside the package's own
DISTILL_LAUNCHER     what runs the compiler, such as ccache
CXX                  the compiler; else g++, else clang++
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import tempfile
import time

from . import CompileError

FLAGS = ("-std=c++20", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-w")

# How long another process may take to compile the same; then it is compiled here too.
PATIENCE = 600.0


def cache_folder():
    if folder := os.environ.get("DISTILL_CACHE"):
        return pathlib.Path(folder)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "distill" / "compiled"


def include_folder():
    here = pathlib.Path(__file__).resolve().parent
    given = os.environ.get("DISTILL_INCLUDE")
    for folder in [pathlib.Path(given)] if given else [here / "include", *(parent / "include" for parent in here.parents[1:4])]:
        if (folder / "distill" / "distill.hpp").is_file():
            return folder
    raise CompileError(f"distill: {given or 'this package'} has no distill/distill.hpp: set DISTILL_INCLUDE")


def eigen_folder():
    given = os.environ.get("DISTILL_EIGEN")
    candidates = [given] if given else []
    if not given and shutil.which("pkg-config"):
        found = subprocess.run(["pkg-config", "--variable=includedir", "eigen3"], capture_output=True, text=True, check=False)
        prefix = subprocess.run(["pkg-config", "--cflags-only-I", "eigen3"], capture_output=True, text=True, check=False)
        candidates += [word.removeprefix("-I") for word in prefix.stdout.split()] + found.stdout.split()
    candidates += [] if given else ["/usr/include/eigen3", "/usr/local/include/eigen3", "/opt/homebrew/include/eigen3"]
    for folder in candidates:
        if (pathlib.Path(folder) / "Eigen" / "Core").is_file():
            return pathlib.Path(folder)
    raise CompileError(f"distill: {given or 'this machine'} has no Eigen/Core: install Eigen 3.4 (Debian: libeigen3-dev), "
                       "or set DISTILL_EIGEN")


def compiler():
    """The compiler as words of a command."""
    if os.environ.get("CXX"):
        return shlex.split(os.environ["CXX"])
    for name in ("g++", "clang++"):
        if path := shutil.which(name):
            return [path]
    raise CompileError("distill: there is no g++ or clang++ on this machine: install one, or set CXX")


@functools.lru_cache(maxsize=None)
def _identity_of(command):
    """What tells a compiler from every other."""
    try:
        version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        machine = subprocess.run([*command, "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompileError(f"distill: the compiler {' '.join(command)} does not run: {error}") from error
    return f"{version}{machine}"


@functools.lru_cache(maxsize=None)
def _digest_of_tree(folder, pattern):
    digest = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def key_of(source, flags):
    """The name of what the source becomes with these flags on this machine."""
    parts = [source, *flags, _identity_of(tuple(compiler())), platform.machine(), platform.system(),
             _digest_of_tree(include_folder(), "distill/**/*"), _digest_of_tree(eigen_folder(), "Eigen/**/*")]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()[:32]


@contextlib.contextmanager
def _lock(path):
    """Held by one process at a time. The system frees it when its holder dies; who has waited too long goes on without."""
    with open(path, "w", encoding="ascii") as file:
        try:
            import fcntl
        except ImportError:
            yield
            return
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    break
                time.sleep(0.05)
            except OSError:  # a file system without locks
                break
        yield


def _compile(source, flags, target):
    """The shared library, made in a folder of its own and moved to its place whole."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as scratch:
        text, made = pathlib.Path(scratch, "distill_loss.cpp"), pathlib.Path(scratch, "distill_loss.so")
        text.write_text(source, encoding="utf-8")
        command = [*shlex.split(os.environ.get("DISTILL_LAUNCHER", "")), *compiler(), *flags, f"-I{include_folder()}", "-isystem",
                   str(eigen_folder()), str(text), "-o", str(made)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise CompileError(_why(result.stderr))
        os.replace(text, target.with_suffix(".cpp"))
        os.replace(made, target)


def _why(errors):
    """The library's own sentence, where the compiler prints one, before everything else that it says."""
    for line in errors.splitlines():
        if "distill: " in line:
            return f"distill: {line.split('distill: ', 1)[1].rstrip('.')}\n\n{errors}"
    return f"distill: the objective does not compile\n\n{errors}"


def shared_library(source, extra_flags=()):
    """The path of the shared library that the source becomes."""
    flags = (*FLAGS, *extra_flags, *shlex.split(os.environ.get("DISTILL_CXXFLAGS", "")))
    folder = cache_folder()
    target = folder / f"{key_of(source, flags)}.so"
    if target.is_file():
        return target
    if os.environ.get("DISTILL_COMPILE") == "never":
        raise CompileError(f"distill: this loss is not in the cache {folder}, and DISTILL_COMPILE=never forbids to compile it: "
                           "compile it ahead with python -m distill.compile")
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(target.with_suffix(".lock")):
        if not target.is_file():  # another process may have made it meanwhile
            _compile(source, flags, target)
    return target
