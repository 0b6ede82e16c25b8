"""Runs the demo on files of one's own, the sound and the unsound, and holds what it says of each.

usage: own_files_test.py PROGRAM REPOSITORY
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

from own_files_cases import INF, NAN, STUDENT, TEACHER, UNSOUND, array, bfloat16, tokens

def with_row(rows: list, at: int, row: list) -> list:
    return rows[:at] + [row] + rows[at + 1 :]


def main() -> int:
    program, root = (Path(argument).resolve() for argument in sys.argv[1:])
    failed = []

    def run(folder: Path, files: dict, *arguments: str, command: tuple = (str(program),)) -> subprocess.CompletedProcess:
        folder.mkdir(parents=True)
        for name, content in files.items():
            if content == "folder":
                (folder / name).mkdir()
            elif content is not None:
                (folder / name).write_bytes(content)
        return subprocess.run([*command, *arguments, "--most-steps", "3"], cwd=folder, capture_output=True, text=True,
                              timeout=120, check=False)  # fmt: skip

    def hold(name: str, condition: bool, found: subprocess.CompletedProcess) -> None:
        if not condition:
            failed.append(name)
            print(f"does not hold: {name}\nexit status {found.returncode}\n{found.stdout}{found.stderr}")

    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        pair = ("student.npy", "teacher.npy")
        for at, (student, sentence, *more) in enumerate(UNSOUND):
            files = {"student.npy": student, "teacher.npy": array(TEACHER), **(more[0] if more else {})}
            extra = files.pop("arguments", []) + (["--tokens", "tokens.npy"] if "tokens.npy" in files else [])
            r = run(here / str(at), files, *pair, *extra)
            hold(sentence, r.returncode == 1 and r.stderr == sentence + "\n", r)

        for at, (what, *arguments) in enumerate([("requires", "student.npy"), ("requires", "--tokens", "t.npy"),
                                                 ("--most-steps", *pair, "--most-steps=-1")]):  # fmt: skip
            r = run(here / f"usage {at}", {}, *arguments)
            hold(f"usage: {what}", r.returncode not in (0, -6, -11) and what in r.stderr and r.stderr.count("\n") <= 2, r)

        expected = run(here / "plain", {"student.npy": array(STUDENT), "teacher.npy": array(TEACHER)}, *pair).stdout
        counts = expected.split("\nLoss")[0]
        for name, student in {"float16": array(STUDENT, "<f2", "<e"), "big-endian float16": array(STUDENT, ">f2", ">e"),
                              "big-endian float32": array(STUDENT, ">f4", ">f"), "bfloat16": bfloat16(STUDENT),
                              "big-endian float64": array(STUDENT, ">f8", ">d")}.items():  # fmt: skip
            r = run(here / name, {"student.npy": student, "teacher.npy": array(TEACHER)}, *pair)
            hold(name, r.returncode == 0 and "3 rows, vocabulary 4" in counts and r.stdout.split("\nLoss")[0] == counts, r)

        for name, student, teacher, line in [
            ("NaN", with_row(STUDENT, 1, [0, NAN, 0, 0]), TEACHER, "row 1 of student.npy contains NaN"),
            ("+inf", STUDENT, with_row(TEACHER, 1, [INF, 0, 0, 0]), 
             "row 1 of teacher.npy contains +inf, or more than float32 can hold"),
            ("-inf", STUDENT, with_row(TEACHER, 1, [-INF] * 4), "row 1 of teacher.npy is -inf everywhere"),
        ]:  # fmt: skip
            files = {"student.npy": array(student), "teacher.npy": array(teacher), "tokens.npy": tokens(0, 1, 2)}
            options = ("--tokens", "tokens.npy", "--table", "t.tsv", "--histogram", "h.tsv")
            r = run(here / name, files, *pair, *options)
            good = [[rows[0], rows[2]] for rows in (STUDENT, TEACHER)]
            rest = {"student.npy": array(good[0]), "teacher.npy": array(good[1]), "tokens.npy": tokens(0, 2)}
            alone = run(here / f"{name} alone", rest, *pair, *options)
            tables = [here / name / "t.tsv", here / name / "h.tsv"]
            same = all(t.exists() and t.read_text() == (here / f"{name} alone" / t.name).read_text() for t in tables)
            page = r.stdout.split("\nLoss")[0].replace(", 2 of 3 rows:", ":").split("\n", 1)[-1]
            hold(f"{name} is left out", r.returncode == 0 and f"left out: {line}\n" in r.stdout and same and
                 "2 of 3 rows: 2 rows" in r.stdout and "nan" not in r.stdout.replace(line, "") and
                 page == alone.stdout.split("\nLoss")[0], r)  # fmt: skip

        # ./run changes to its own folder. What it builds is here already, so its tools have nothing to do.
        checkout, tools, caller = here / "a checkout", here / "tools", here / "a caller"
        built = checkout / "build/demo/examples/distill_logits"
        built.mkdir(parents=True)
        tools.mkdir()
        shutil.copy(root / "run", checkout / "run")
        os.symlink(program, built / "distill_logits")
        for tool in ("cmake", "dpkg-query"):
            (tools / tool).write_text("#!/bin/sh\necho ok installed\n")
            (tools / tool).chmod(0o755)
        command = ("env", f"PATH={tools}:{os.environ['PATH']}", str(checkout / "run"), "demo")
        files = {"my student.npy": array(STUDENT), "teacher.npy": array(TEACHER)}
        absolute = f"{caller} 1/teacher.npy"
        for at, arguments in enumerate([("my student.npy", "teacher.npy"), ("./my student.npy", absolute)]):
            r = run(Path(f"{caller} {at}"), files, *arguments, command=command)
            hold(f"./run demo {arguments}", r.returncode == 0 and "3 rows, vocabulary 4" in r.stdout, r)
        masked = {"student.npy": array([[-INF, 9, 0, 0], [0, 9, 0, 0], [9, 0, 0, 0]]), "teacher.npy": array(TEACHER)}
        r = run(here / "masked", masked, *pair)
        hold("a masked y* takes no steps", r.returncode == 0 and "nan" not in r.stdout and "0.00e+00" not in r.stdout, r)
        few = run(here / "few", {"student.npy": array(TEACHER), "teacher.npy": array(TEACHER)}, *pair)
        hold("no row qualifies", few.returncode == 0 and "\n  no row: wherever q(y*) > 1/2 the student gives y* 0.001 "
             "or more already, or masks it\n" in few.stdout, few)  # fmt: skip
        r = run(here / "help", {}, "--help", command=command)
        options = set(re.findall(r"--[a-z-]+", r.stdout)) - {"--help"}
        page = (root / "docs/how-to.md").read_text(encoding="utf-8")
        comment = (root / "examples/distill_logits/main.cpp").read_text(encoding="utf-8").split("#include")[0]
        hold("every option is in the help, the comment and the page", r.returncode == 0 and
             options == set(re.findall(r"--[a-z-]+", comment)) >= {"--tokens"} and all(f"`{o}" in page for o in options), r)

    print(f"{len(failed)} of the demo's promises do not hold" if failed else "held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
