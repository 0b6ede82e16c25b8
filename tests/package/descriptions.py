"""The package managers' descriptions of distill say what CMakeLists.txt says.

usage: descriptions.py REPOSITORY

Every fact that stands in more than one place is read from all of them: the version, the description, the license and the
oldest Eigen.
"""

import json
import re
import sys
from pathlib import Path


def main() -> int:
    root = Path(sys.argv[1])

    def found(file, pattern):
        match = re.search(pattern, (root / file).read_text(encoding="utf-8"), re.MULTILINE)
        return match.group(1) if match else None

    port = json.loads((root / "packaging/vcpkg/ports/distill/vcpkg.json").read_text(encoding="utf-8"))
    cmake, recipe, documentation = "CMakeLists.txt", "packaging/conan/conanfile.py", "docs/installation.md"
    facts = {
        "name": {cmake: found(cmake, r"^project\((\w+)"), "vcpkg.json": port["name"],
                 recipe: found(recipe, r'^    name = "(.*)"')},
        "version": {"core/version.hpp": ".".join(found("include/distill/core/version.hpp", rf"^#define DISTILL_VERSION_{part} (\d+)")
                                                 for part in ("MAJOR", "MINOR", "PATCH")),
                    cmake: found(cmake, r"^project\(distill VERSION (\S+)"), "vcpkg.json": port["version"],
                    # The recipe reads it with an expression of its own.
                    recipe: found(cmake, found(recipe, r're\.search\(r"([^"]+)"')),
                    documentation: found(documentation, r"requires `distill/(\S+)`"),
                    f"{documentation}, FetchContent": found(documentation, r"GIT_TAG v(\S+)\)")},
        "description": {cmake: found(cmake, r'DESCRIPTION "([^"]*)"'), "vcpkg.json": port["description"],
                        recipe: found(recipe, r'^    description = "(.*)"')},
        "license": {"README.md": found("README.md", r"^([\w.-]+), see \[LICENSE\]"), "vcpkg.json": port["license"],
                    recipe: found(recipe, r'^    license = "(.*)"')},
        "oldest Eigen": {cmake: found(cmake, r"DISTILL_EIGEN_VERSION (\S+)\)"),
                         recipe: found(recipe, r'"eigen/\[>=(\S+) '),
                         documentation: found(documentation, r"and Eigen (\S+), or newer")},
    }

    failures = 0
    for fact, places in facts.items():
        if None in places.values() or len(set(places.values())) != 1:
            failures += 1
            print(f"the {fact} differs: " + "; ".join(f"{place} has {value}" for place, value in places.items()))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
