"""The architecture check finds what it is there to find: a small tree with one planted violation per case."""

import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
import check_architecture

TERM = """#pragma once

#include <distill/objective/term.hpp>

namespace distill {

/// A divergence  D(p, q).
///
/// Summand      p
/// Derivative   p
/// Domain       any p and q
/// At p = q     value 0
/// Accuracy     1e-5
/// Source       nobody
struct NAME : term<NAME> {};

}  // namespace distill
"""


def header(*includes, body=""):
    return "#pragma once\n\n" + "".join(f"#include {include}\n" for include in includes) + body


CLEAN = {
    "CONTRIBUTING.md": "# Contributing\n",
    "README.md": "[objectives](docs/objectives.md), `[&](auto e)`, [elsewhere](https://arxiv.org)\n```cpp\n[&](x)\n```\n",
    "docs/architecture.md": "`backend/` `composition/` `core/` `divergence/` `interop/` `objective/` `reduction/` `row/` `token/` `training/`\n",
    "docs/objectives.md": "[back](../README.md#top)\n",
    "include/distill/backend/eigen.hpp": header("<distill/backend/simd/pack.hpp>", "<distill/row/softmax.hpp>",
                                                body="struct eigen {};\n"),
    "include/distill/backend/reference.hpp": header("<distill/row/softmax.hpp>", body="struct reference {};\n"),
    "include/distill/backend/simd/pack.hpp": header("<cstdint>", body="struct pack {};\n"),
    "include/distill/composition/mix.hpp": header("<distill/divergence/first.hpp>", body="struct mix {};\n"),
    "include/distill/objective/term.hpp": header("<distill/core/entry.hpp>"),
    "include/distill/core/entry.hpp": header("<concepts>"),
    "include/distill/core/view.hpp": header("<distill/core/entry.hpp>"),
    "include/distill/distill.hpp": header(
        "<distill/backend/eigen.hpp>", "<distill/composition/mix.hpp>", "<distill/divergence/first.hpp>",
        "<distill/divergence/second.hpp>", "<distill/reduction/mean.hpp>", "<distill/token/third.hpp>"),
    "include/distill/divergence/first.hpp": TERM.replace("NAME", "first"),
    "include/distill/divergence/second.hpp": TERM.replace("NAME", "second").replace("struct", "template <int N>\nstruct"),
    "include/distill/interop/eigen.hpp": header("<distill/core/view.hpp>", "<Eigen/Core>"),
    "include/distill/row/softmax.hpp": header("<distill/objective/term.hpp>", "<cmath>"),
    "include/distill/loss.hpp": header("<distill/row/softmax.hpp>", body="class loss {};\n"),
    "include/distill/reduction/mean.hpp": header("<distill/core/entry.hpp>", body="struct mean {};\n"),
    "include/distill/token/third.hpp": TERM.replace("NAME", "third"),
    "include/distill/training/annealing.hpp": header(body="struct linear_annealing {};\n"),
}

D = "include/distill/"
FIRST = CLEAN[D + "divergence/first.hpp"]
UNFINISHED_NOTE, MACHINE_PATH = "TO" + "DO", "/" + "tmp/build"

# What is planted: the files that replace those of the clean tree, and the start and a part of the only violation.
PLANTED = {
    "a sibling is included": (
        {D + "divergence/first.hpp": FIRST.replace("objective/term", "divergence/second")},
        D + "divergence/first.hpp:3: ", "lower layers only"),
    "a higher layer is included": (
        {D + "core/view.hpp": header("<concepts>", "<distill/training/annealing.hpp>")},
        D + "core/view.hpp:4: ", "lower layers only"),
    "the loss knows a backend": (
        {D + "loss.hpp": header("<distill/backend/eigen.hpp>", body="class loss {};\n")}, D + "loss.hpp:3: ",
        "lower layers only"),
    "an unknown folder": ({D + "extras/tool.hpp": header()}, D + "extras/tool.hpp:1: ", "table of layers"),
    "a room that the map does not have": (
        {"docs/architecture.md": "`backend/` `composition/` `core/` `divergence/` `interop/` `objective/` `reduction/` `row/` `token/`\n"},
        "docs/architecture.md:1: ", "training/ is missing"),
    "a long line": (
        {D + "core/view.hpp": header("<distill/core/entry.hpp>", body="// " + 123 * "x" + "\n")}, D + "core/view.hpp:4: ",
        "at most 125"),
    "a cycle": (
        {D + "core/entry.hpp": header("<distill/core/view.hpp>")}, D + "core/view.hpp:3: ", "no cycle"),
    "quotes": ({D + "core/view.hpp": header('"term.hpp"')}, D + "core/view.hpp:3: ", "angle brackets"),
    "a missing header": (
        {D + "core/view.hpp": header("<distill/core/gone.hpp>")}, D + "core/view.hpp:3: ", "header that exists"),
    "a third party in core": (
        {D + "core/view.hpp": header("<Eigen/Core>")}, D + "core/view.hpp:3: ", "named at the border only"),
    "a third party in the reference": (
        {D + "backend/reference.hpp": header("<Eigen/Core>", body="struct reference {};\n")},
        D + "backend/reference.hpp:3: ", "named at the border only"),
    "the wrong third party in interop": (
        {D + "interop/eigen.hpp": header("<xtensor/xtensor.hpp>")}, D + "interop/eigen.hpp:3: ", "named at the border only"),
    "a third party in the loops": (
        {D + "backend/simd/pack.hpp": header("<Eigen/Core>")}, D + "backend/simd/pack.hpp:3: ", "named at the border only"),
    "a processor in the loops": (
        {D + "backend/simd/pack.hpp": header(body="#if defined(__AVX2__)\n#endif\n")}, D + "backend/simd/pack.hpp:3: ",
        "its own header"),
    "a documentation line is missing": (
        {D + "divergence/first.hpp": FIRST.replace("/// Domain       any p and q\n", "")},
        D + "divergence/first.hpp:14: ", "documentation block"),
    "a documentation line is empty": (
        {D + "token/third.hpp": CLEAN[D + "token/third.hpp"].replace("1e-5", "")}, D + "token/third.hpp:15: ",
        "documentation block"),
    "the documentation's order": (
        {D + "divergence/first.hpp": FIRST.replace("Summand ", "Swapped ").replace("Domain  ", "Summand ")
                                          .replace("Swapped ", "Domain  ")},
        D + "divergence/first.hpp:15: ", "documentation block"),
    "the documentation has no first sentence": (
        {D + "divergence/first.hpp": FIRST.replace("/// A divergence  D(p, q).\n///\n", "")},
        D + "divergence/first.hpp:13: ", "begins with what the term is"),
    "two structs in one file": (
        {D + "reduction/mean.hpp": header(body="struct mean {};\nstruct other {};\n")}, D + "reduction/mean.hpp:4: ",
        "the one struct"),
    "a file named after nothing": (
        {D + "training/annealing.hpp": header(body="struct schedule {};\n")}, D + "training/annealing.hpp:1: ",
        "nothing here is called annealing"),
    "CamelCase": ({D + "core/RowArray.hpp": header()}, D + "core/RowArray.hpp:1: ", "snake_case"),
    "an include guard": (
        {D + "core/view.hpp": "#ifndef DISTILL_VIEW\n#define DISTILL_VIEW\n#endif\n"}, D + "core/view.hpp:1: ",
        "#pragma once"),
    "macros of others that are not given back": (
        {D + "core/macros_of_others.hpp": "", D + "core/view.hpp": header("<distill/core/macros_of_others.hpp>")},
        D + "core/view.hpp:3: ", "as the last line"),
    "a long header": ({D + "core/view.hpp": header(body="\n" * 460)}, D + "core/view.hpp:462: ", "at most 450 lines"),
    "long headers": (
        {name: text + "\n" * 150 for name, text in CLEAN.items() if name.startswith(D)}, "include/distill:1: ",
        "median length"),
    "the umbrella lacks a term": (
        {D + "divergence/fourth.hpp": TERM.replace("NAME", "fourth")}, D + "divergence/fourth.hpp:1: ",
        "divergence/fourth.hpp is missing"),
    "an unfinished note": (
        {"docs/objectives.md": f"fine\n{UNFINISHED_NOTE}: more\n"}, "docs/objectives.md:2: ", "nothing unfinished"),
    "a path of one machine": (
        {"bench/plot.py": f"folder = \"{MACHINE_PATH}\"\n"}, "bench/plot.py:1: ", "path of one machine"),
    "a dead link": ({"README.md": "fine\n[gone](docs/gone.md)\n"}, "README.md:2: ", "docs/gone.md"),
    "a dead picture": ({"README.md": '<img src="docs/gone.svg">\n'}, "README.md:1: ", "docs/gone.svg"),
    "a long CONTRIBUTING": ({"CONTRIBUTING.md": "line\n" * 21}, "CONTRIBUTING.md:21: ", "at most 20 lines"),
}


def violations_with(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {**CLEAN, **files}.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(check_architecture.violations(root))


def problems():
    if found := violations_with({}):
        yield "the clean tree is refused:\n  " + "\n  ".join(found)
    for case, (files, start, part) in PLANTED.items():
        found = violations_with(files)
        if len(found) != 1 or not found[0].startswith(start) or part not in found[0]:
            yield f"{case}: expected only `{start}...{part}...`, found:\n  " + "\n  ".join(found or ["nothing"])


if __name__ == "__main__":
    failures = list(problems())
    print("\n".join(failures) or f"all {len(PLANTED)} planted violations are found")
    sys.exit(1 if failures else 0)
