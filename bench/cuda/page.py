"""What the pages say of a run of `./run gpu`: nothing but what its JSON has.

usage: page.py publish GPU.json     keeps the file as bench/cuda/gpu.json and fills the blocks of README.md and docs/cuda.md
       page.py check                says which blocks are not what bench/cuda/gpu.json makes them, or not the sentence that
                                    nothing has run on a GPU, where there is no such file
       --root FOLDER                of the checkout: this one

A block stands between the lines `<!-- gpu: NAME -->` and `<!-- end -->`. A rehearsal is refused.
"""

import argparse
import json
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from report import number, table  # noqa: E402

KEPT = "bench/cuda/gpu.json"
PAGES = {"README.md": ("state",), "docs/cuda.md": ("state", "results")}
NOT_RUN = "**It has not run on a GPU yet**: `./run gpu` on a machine with one does that, in under ten minutes."
NOTHING_MEASURED = "No device has measured anything yet."
REHEARSAL = ("# REHEARSAL UNDER THE EMULATION\n\n# NOTHING BELOW RAN ON A GPU, NO TIME BELOW MEANS ANYTHING\n\n"
             "What the command writes has this form. No page takes it.\n\n")


def refusals(found):
    """Why a page does not take a run's JSON."""
    name = found.get("device", {}).get("name", "")
    if found.get("rehearsal") is not False or "emulation" in name:
        yield "it is a rehearsal under the emulation: nothing ran on a GPU"
    if not name:
        yield "it names no device"
    if not found.get("steps"):
        yield "it has no step"


def device(found):
    about = found["device"]
    words = [about.get("about") or f"{about['name']}, compute capability {about['compute capability']}"]
    if "driver" in about:
        words.append(f"driver {about['driver']}")
    if "nvcc" in about:
        words.append(f"built with nvcc {about['nvcc']}")
    return ", ".join(words)


def failed(found):
    return [step["name"] for step in found["steps"] if step["outcome"] == "failed"]


def state(found):
    cases = sum(step.get("cases", 0) for step in found["steps"])
    said = f"{cases} test cases passed on it" + (f"; failed: {', '.join(failed(found))}" if failed(found) else "")
    return f"It ran on {found['device']['name']} on {found['date']}: {said}."


def steps(found):
    def counts(step):
        words = [f"{step[key]} {name}" for key, name in (("cases", "test cases"), ("assertions", "assertions"), ("measured", "measured"))
                 if key in step]
        return ", ".join(words + ([step["why"]] if step["why"] else [])).replace("|", "\\|")

    rows = [[step["name"], step["outcome"], counts(step)] for step in found["steps"]]
    rows += [[f"peer {name}", *(words.split(": ", 1) if ": " in words else (words, ""))] for name, words in found["peers"].items()]
    return table(["step", "outcome", ""], rows)


def measured(found):
    """A table for every type: what ran, by shape."""
    by_type = {}
    for name, counters in found["measured"].items():
        question, what = name.split("/", 1)
        of_type, shape = question.split(", ", 1)
        by_type.setdefault(of_type, {}).setdefault(what, {})[shape] = counters
    tables = []
    for of_type, rows in by_type.items():
        shapes = list(dict.fromkeys(shape for row in rows.values() for shape in row))
        cells = lambda row: [f"{number(row[s]['us/call'], 1)} ({row[s]['of copy']:.2f})" if s in row else "" for s in shapes]
        tables.append(table([of_type, *shapes], [[what, *cells(row)] for what, row in rows.items()]))
    return "\n\n".join(tables)


def results(found):
    text = (f"On {device(found)}; commit {found['commit']}, {found['date']}, {found['seconds']} s on {found['cores']} cores.\n\n"
            f"{steps(found)}")
    if not found["measured"]:
        return f"{text}\n\nNothing was measured."
    return (f"{text}\n\nLoss and gradient of rows × vocabulary, microseconds a call; in brackets the speed over that of a copy on the "
            "device, every input\nread once and the gradient written once.\n\n" + measured(found))


def fragment(found):
    """Both blocks, for who reads gpu.md."""
    if not found["device"]:
        return (REHEARSAL if found["rehearsal"] else "") + "No device has been found."
    return (REHEARSAL if found["rehearsal"] else "") + f"{state(found)}\n\n{results(found)}"


def blocks(kept):
    if kept is None:
        return {"state": NOT_RUN, "results": NOTHING_MEASURED}
    return {"state": state(kept), "results": results(kept)}


def fill(root, kept):
    """(page, its text, the names of the blocks that were otherwise, or are not there) of every page."""
    made = blocks(kept)
    for name, expected in PAGES.items():
        stale, seen = [], []

        def filled(match):
            seen.append(match.group(1))
            if match.group(2).strip() != made[match.group(1)]:
                stale.append(match.group(1))
            return f"<!-- gpu: {match.group(1)} -->\n{made[match.group(1)]}\n<!-- end -->"

        path = root / name
        text = re.sub(r"<!-- gpu: (\w+) -->\n(.*?)<!-- end -->", filled, path.read_text(encoding="utf-8"), flags=re.S)
        yield path, text, stale + [block for block in expected if block not in seen]


def load(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    if why := list(refusals(found)):
        sys.exit(f"{path} is not taken: {', and '.join(why)}")
    return found


def publish(root, path):
    found = load(path)
    if path.resolve() != (root / KEPT).resolve():
        shutil.copyfile(path, root / KEPT)
    for page, text, _ in fill(root, found):
        page.write_text(text, encoding="utf-8")


def check(root):
    kept = load(root / KEPT) if (root / KEPT).exists() else None
    stale = [f"{page}: {', '.join(names)}" for page, _, names in fill(root, kept) if names]
    expected = KEPT if kept is not None else f"a checkout without {KEPT}, which has run on no GPU,"
    sys.exit(f"not what {expected} says: {'; '.join(stale)}" if stale else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("publish", "check"))
    parser.add_argument("json", nargs="?", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    arguments = parser.parse_args()
    if arguments.command == "check":
        check(arguments.root)
    elif arguments.json is None:
        parser.error("publish takes a GPU.json")
    else:
        publish(arguments.root, arguments.json)


if __name__ == "__main__":
    main()
