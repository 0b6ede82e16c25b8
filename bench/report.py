"""What becomes of the benchmarks' JSON: a digest that is committed, the tables and pictures of the docs, a comparison.

usage: report.py digest RESULTS.json COMPILE_TIME.json DIGEST.json    medians and ranges over repetitions, and the machine
       report.py tables DIGEST.json PAGE.md [--check]                 fills the page's blocks, or says which are not so
       report.py series DIGEST.json FOLDER                            the pictures' tables, tab-separated
       report.py compare OLD.json NEW.json [--allowed 1.15]           digests or RESULTS: fails where a ratio to the floor grew

A block of a page stands between the lines `<!-- measured: NAME -->` and `<!-- end -->`.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys
import textwrap

KEPT = {"ns/entry": "ns", "x floor": "ratio", "floor ns/entry": "floor", "peak MB": "megabytes"}


def medians(results):
    """{name: {ns, ratio, floor, megabytes, lowest ratio, highest ratio}} of a file of google-benchmark's."""
    if "measured" in results:
        return results["measured"]
    runs = {}
    for run in results["benchmarks"]:
        if run.get("run_type", "iteration") == "iteration" and not run.get("error_occurred"):
            runs.setdefault(run["run_name"].removesuffix("/manual_time"), []).append(run)
    found = {}
    for name, repetitions in runs.items():
        found[name] = {short: float(f"{statistics.median(r[long] for r in repetitions):.4g}") for long, short in KEPT.items()}
        ratios = [r["x floor"] for r in repetitions]
        found[name]["lowest"], found[name]["highest"] = (float(f"{x:.3g}") for x in (min(ratios), max(ratios)))
    return found


def digest(arguments):
    results = json.loads(pathlib.Path(arguments.results).read_text())
    context = results["context"]
    kept = {
        "machine": {"processor": context["processor"], "cores": context["num_cpus"],
                    "caches": {f"L{c['level']} {c['type']}": c["size"] for c in context["caches"]},
                    "instruction set": context["instruction set"]},
        "compiler": context["compiler"],
        "repetitions": max(run.get("repetitions", 1) for run in results["benchmarks"]),
        "measured": medians(results),
        "compile time": json.loads(pathlib.Path(arguments.compile_time).read_text()),
    }
    pathlib.Path(arguments.digest).write_text(json.dumps(kept, indent=1) + "\n")


# ---- the docs' tables ----


def number(x, digits=2):
    return f"{x:.{digits}f}" if x < 10 else f"{x:.0f}"


def ratio_of(run):
    """A ratio, and its range where the repetitions are far apart."""
    spread = run["highest"] - run["lowest"] > 0.15 * run["ratio"]
    return f"{number(run['ratio'], 1)}" + (f" ({number(run['lowest'], 1)}–{number(run['highest'], 1)})" if spread else "")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def of_question(measured, question):
    """The runs `question/NAME`, in their order, by NAME."""
    return {name.split("/", 1)[1]: run for name, run in measured.items() if name.startswith(question + "/")}


def machine(kept):
    about, floor = kept["machine"], kept["measured"]["objective/forward_kl"]["floor"]
    size = lambda of: next((f"{s // 1024} KiB" if s < 2**20 else f"{s // 2**20} MiB" for name, s in about["caches"].items()
                            if name.startswith(of)), "none")
    return (f"{about['processor']}, {about['cores']} cores, {about['instruction set']}, caches of {size('L1 Data')}, {size('L2')} and "
            f"{size('L3')}; {kept['compiler']}; the floor is {floor:.2f} ns per entry; "
            + ("one repetition." if kept["repetitions"] == 1 else f"medians of {kept['repetitions']} repetitions."))


def objectives(kept):
    return table(["objective, loss and gradient", "ns per entry", "× floor"],
                 [[f"`{name}`", number(run["ns"]), ratio_of(run)] for name, run in of_question(kept["measured"], "objective").items()])


def values(kept):
    return table(["value alone", "ns per entry", "× a read of both"],
                 [[f"`{name}`", number(run["ns"]), ratio_of(run)] for name, run in of_question(kept["measured"], "value").items()])


def peers(kept):
    runs = of_question(kept["measured"], "peer")
    rows = []
    for name, run in runs.items():
        objective, who = name.split(", ", 1)
        ours = runs[f"{objective}, distill"]
        rows.append([f"`{objective}`", who, number(run["ns"]), number(run["ns"] / ours["ns"], 1), number(run["megabytes"], 1)])
    return table(["objective", "written as", "ns per entry", "× distill", "peak memory beside the buffers, MB"], rows)


def relative_to(question, first):
    """A table of one question, every objective's runs relative to its run `first`."""
    def of(kept):
        runs, rows = of_question(kept["measured"], question), {}
        for name, run in runs.items():
            objective, variant = name.split(", ", 1)
            rows.setdefault(variant, {})[objective] = run["ns"] / runs[f"{objective}, {first}"]["ns"]
        columns = list(next(iter(rows.values())))
        return table([question, *[f"`{c}`" for c in columns]],
                     [[variant, *[number(row[c]) for c in columns]] for variant, row in rows.items()])
    return of


def vocabularies(kept):
    runs = of_question(kept["measured"], "vocabulary")
    best, rows = {}, {}
    for name, run in runs.items():
        objective, size = name.split(", ")
        best[objective] = min(best.get(objective, run["ns"]), run["ns"])
        rows.setdefault(size, {})[objective] = run["ns"]
    columns = list(best)
    return table(["vocabulary", *[f"`{c}`, ns per entry (× its best)" for c in columns]],
                 [[size, *[f"{number(row[c])} ({number(row[c] / best[c])})" for c in columns]] for size, row in rows.items()])


def calls(kept):
    measured = kept["measured"]
    fused, separate = measured["fusion/one call"], measured["fusion/three calls"]
    whole = measured["masks/forward_kl, 0 % masked"]
    rows = [["three terms in three calls", f"{number(separate['ns'] / fused['ns'])} times the time of one call"]]
    rows += [[f"{share} of the rows masked", f"{number(measured[f'masks/forward_kl, {share} masked']['ns'] / whole['ns'])} times the time of none"]
             for share in ("50 %", "90 %")]
    for name, run in of_question(measured, "one row").items():
        entries = int(name.split("vocabulary ")[1])
        rows.append([f"one row of {entries} entries", f"{number(run['ns'] * entries / 1000)} µs"])
    return table(["a call of `forward_kl`, unless it says three terms", "takes"], rows)


def compile_times(kept):
    compilers = list(kept["compile time"])
    files = list(next(iter(kept["compile time"].values())))
    return table(["-O2", *[f"{c}, seconds" for c in compilers], *[f"{c}, × parsing Eigen" for c in compilers]],
                 [[f"`{file}`", *[number(kept["compile time"][c][file]["seconds"]) for c in compilers],
                   *[number(kept["compile time"][c][file]["ratio"], 1) for c in compilers]] for file in files])


def headline(kept):
    measured, runs = kept["measured"], of_question(kept["measured"], "peer")
    times = lambda who: number(runs[f"forward_kl, {who}"]["ns"] / runs["forward_kl, distill"]["ns"], 0)
    others = [("LibTorch", "LibTorch"), ("Eigen expressions", "Eigen's array expressions"), ("scalar loop", "a scalar loop")]
    longer = [f"{words} {times(who)} times" for who, words in others if f"forward_kl, {who}" in runs]
    return (f"Forward KL with its gradient takes {number(measured['objective/forward_kl']['ns'])} ns per vocabulary entry on one thread "
            f"({kept['machine']['processor']}, {kept['machine']['instruction set']}), {ratio_of(measured['objective/forward_kl'])} times a "
            f"plain `g = z − w` over the same buffers; beside it, {', '.join(longer)} as long.")


BLOCKS = {
    "headline": headline,
    "machine": machine,
    "objectives": objectives,
    "values": values,
    "peers": peers,
    "instruction sets": relative_to("instruction set", "avx512"),
    "element types": relative_to("element type", "float"),
    "destinations": relative_to("destination", "elsewhere"),
    "threads": relative_to("threads", "1"),
    "vocabularies": vocabularies,
    "calls": calls,
    "compile time": compile_times,
}


def tables(arguments):
    kept, page = json.loads(pathlib.Path(arguments.digest).read_text()), pathlib.Path(arguments.page)
    stale = []

    def filled(match):
        block = BLOCKS[match.group(1)](kept)
        if not block.startswith("|"):
            block = textwrap.fill(block, 140)
        if match.group(2).strip() != block:
            stale.append(match.group(1))
        return f"<!-- measured: {match.group(1)} -->\n{block}\n<!-- end -->"

    text = re.sub(r"<!-- measured: ([\w ]+) -->\n(.*?)<!-- end -->", filled, page.read_text(), flags=re.S)
    if arguments.check:
        sys.exit(f"{page}: not what {arguments.digest} says: {', '.join(stale)}" if stale else 0)
    page.write_text(text)


# ---- pictures ----


def series(arguments):
    measured = json.loads(pathlib.Path(arguments.digest).read_text())["measured"]
    folder = pathlib.Path(arguments.folder)
    bars = [["written as", "ns per entry"]]
    for name, run in of_question(measured, "peer").items():
        bars.append([name, str(run["ns"])])
    sizes = {}
    for name, run in of_question(measured, "vocabulary").items():
        objective, size = name.split(", ")
        sizes.setdefault(size, []).append(run)
    lines = [["vocabulary", "forward_kl", "jensen_shannon", "floor"]]
    lines += [[size, *[str(run["ns"]) for run in runs], str(runs[0]["floor"])] for size, runs in sizes.items()]
    for name, rows in {"peers": bars, "vocabularies": lines}.items():
        (folder / f"{name}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))


def compare(arguments):
    old, new = (medians(json.loads(pathlib.Path(path).read_text())) for path in (arguments.old, arguments.new))
    worse = 0
    print(f"{'ratio to the floor':48} {'old':>8} {'new':>8} {'new/old':>8}")
    for name in old:
        if name not in new:
            continue
        change = new[name]["ratio"] / old[name]["ratio"]
        worse += change > arguments.allowed
        print(f"{name:48} {old[name]['ratio']:8.2f} {new[name]['ratio']:8.2f} {change:8.2f}" +
              ("  slower" if change > arguments.allowed else ""))
    for name in sorted(set(old) ^ set(new)):
        print(f"{name:48} only in the {'old' if name in old else 'new'} file")
    sys.exit(f"{worse} slower by more than {arguments.allowed}" if worse else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function, paths in ((digest, ("results", "compile_time", "digest")), (tables, ("digest", "page")),
                            (series, ("digest", "folder")), (compare, ("old", "new"))):
        command = commands.add_parser(function.__name__)
        command.set_defaults(run=function)
        for path in paths:
            command.add_argument(path)
        if function is tables:
            command.add_argument("--check", action="store_true")
        if function is compare:
            command.add_argument("--allowed", type=float, default=1.15)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
