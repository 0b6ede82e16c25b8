"""A consumer without CMake: compiles and runs with what pkg-config says of an installed copy.

usage: pkg_config.py COPY VERSION PKG_CONFIG COMPILER
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    copy, version, pkg_config, compiler = sys.argv[1:]
    environment = os.environ | {"PKG_CONFIG_PATH": str(Path(copy, "share", "pkgconfig"))}

    def ask(question):
        return subprocess.run([pkg_config, question, "distill"], check=True, text=True, stdout=subprocess.PIPE,
                              env=environment).stdout.split()

    assert ask("--modversion") == [version], f"the version is {ask('--modversion')}, expected {version}"
    flags = ask("--cflags")
    assert any(flag.startswith("-I") and Path(flag[2:]).samefile(Path(copy, "include")) for flag in flags), (
        f"the headers of the copy are not on the include path: {flags}")
    with tempfile.TemporaryDirectory() as directory:
        program = str(Path(directory, "consumer"))
        subprocess.run([compiler, "-std=c++20", *flags, str(Path(__file__).with_name("consumer.cpp")), "-o", program],
                       check=True)
        subprocess.run([program], check=True)


if __name__ == "__main__":
    main()
