"""What becomes of the benchmarks' JSON: a digest that is committed, the tables and pictures of the docs, a comparison.

usage: report.py digest RESULTS.json COMPILE_TIME.json DIGEST.json    this machine's record: medians and ranges over repetitions
       report.py tables DIGEST.json PAGE.md [--check]                 fills the page's blocks, or says which are not so
       report.py series DIGEST.json FOLDER                            the pictures' tables, tab-separated
       report.py compare OLD.json NEW.json [--allowed 1.15]           digests or RESULTS: fails where a ratio to the floor grew

A digest has a record for each machine, the one measured last first. A block of a page is between the lines
`<!-- measured: NAME -->` and `<!-- end -->`.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys
import textwrap

KEPT = {"ns/entry": "ns", "us/call": "us", "x floor": "ratio", "x distill": "times", "floor": "floor", "peak MB": "megabytes",
        "worst ulp": "ulp"}


def medians(results):
    """{name: {...}} of a file of google-benchmark's: the values of KEPT, the lowest and highest ratio, and a peer's version."""
    runs = {}
    for run in results["benchmarks"]:
        if run.get("run_type", "iteration") == "iteration" and not run.get("error_occurred"):
            runs.setdefault(run["run_name"].removesuffix("/manual_time"), []).append(run)
    found = {}
    for name, repetitions in runs.items():
        found[name] = {short: float(f"{statistics.median(r[long] for r in repetitions):.4g}") for long, short in KEPT.items()
                       if long in repetitions[0]}
        ratios = [r["x floor"] if "x floor" in r else r["x distill"] for r in repetitions]
        found[name]["lowest"], found[name]["highest"] = (float(f"{x:.3g}") for x in (min(ratios), max(ratios)))
        if name.startswith("peer/") and repetitions[0].get("label"):
            found[name]["version"] = repetitions[0]["label"]
    return found


def identity(record):
    return record["machine"]["processor"], record["machine"]["instruction set"]


def digest(arguments):
    results = json.loads(pathlib.Path(arguments.results).read_text())
    context = results["context"]
    record = {
        "machine": {"processor": context["processor"], "model": context["model"], "cores": context["num_cpus"],
                    "caches": {f"L{c['level']} {c['type']}": c["size"] for c in context["caches"]},
                    "instruction set": context["instruction set"]},
        "compiler": context["compiler"],
        "flags": context["flags"],
        "peer rows": int(context["peer rows"]),
        "repetitions": max(run.get("repetitions", 1) for run in results["benchmarks"]),
        "measured": medians(results),
        "compile time": json.loads(pathlib.Path(arguments.compile_time).read_text()),
    }
    path = pathlib.Path(arguments.digest)
    others = [other for other in records(path) if identity(other) != identity(record)] if path.exists() else []
    path.write_text(json.dumps({"machines": [record, *others]}, indent=1, ensure_ascii=False) + "\n")


def records(path):
    return json.loads(pathlib.Path(path).read_text())["machines"]


# ---- the docs' tables ----

NOT_MEASURED = "–"


def number(x, digits=2):
    return f"{x:.{digits}f}" if x < 10 else f"{x:.0f}"


def cell(run, key, digits=2):
    return number(run[key], digits) if run and key in run else NOT_MEASURED


def ratio_of(run, key="ratio"):
    """A ratio, and its range where the repetitions are far apart."""
    if not run or key not in run:
        return NOT_MEASURED
    spread = run.get("highest", 0) - run.get("lowest", 0) > 0.15 * run[key]
    return f"{number(run[key], 1)}" + (f" ({number(run['lowest'], 1)}–{number(run['highest'], 1)})" if spread else "")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def of_question(measured, question):
    """The runs `question/NAME`, in their order, by NAME."""
    return {name.split("/", 1)[1]: run for name, run in measured.items() if name.startswith(question + "/")}


def short_name(record):
    return " ".join(re.sub(r"\((R|TM)\)|Processor|CPU|@.*|\d+-Core", "", record["machine"]["processor"]).split())


def that_measured(machines, question):
    """[(record, runs)] of the machines that have runs of the question."""
    found = [(record, of_question(record["measured"], question)) for record in machines]
    return [(record, runs) for record, runs in found if runs]


def by_machine(question, first, columns):
    """A table of one question: a line for each benchmark, {title: cell of a run} for each machine that has measured it."""
    def of(machines):
        found = that_measured(machines, question)
        if not found:
            return f"Not measured yet: `./run bench --benchmark_filter={question}/`."
        names = list(dict.fromkeys(name for _, runs in found for name in runs))
        head = [f"{short_name(record)}: {title}" if len(found) > 1 else title for record, _ in found for title in columns]
        return table([first, *head], [[f"`{name}`", *[of_run(runs.get(name)) for _, runs in found for of_run in columns.values()]]
                                      for name in names])
    return of


def machine(machines):
    lines = []
    for record in machines:
        about, caches = record["machine"], []
        for cache in ("L1 Data", "L2", "L3"):
            size = next((size for name, size in about.get("caches", {}).items() if name.startswith(cache)), 0)
            if size:
                caches.append(f"{size // 1024} KiB" if size < 2**20 else f"{size // 2**20} MiB")
        name = [about["processor"]] if about["processor"] != short_name(record) else []
        facts = [*name, *([about["model"]] if "model" in about else []), f"{about['cores']} cores", about["instruction set"]]
        if caches:
            facts.append(f"caches of {', '.join(caches[:-1])} and {caches[-1]}")
        more = [f"{record['compiler']} {record['flags']}", f"the floor is {record['measured']['objective/forward_kl']['floor']:.2f} ns per entry",
                f"the peers on {record['peer rows']} rows", record.get("note", ""),
                {None: "", 1: "one repetition"}.get(record.get("repetitions"), f"medians of {record.get('repetitions')} repetitions")]
        lines.append(f"- **{short_name(record)}**: {', '.join(facts)}; {'; '.join(fact for fact in more if fact)}.")
    return "\n".join(lines)


def peers(machines):
    found = that_measured(machines, "peer")
    names = list(dict.fromkeys(name for _, runs in found for name in runs))
    objectives = list(dict.fromkeys(name.split(", ")[0] for name in names))
    rows = []
    for name in sorted(names, key=lambda n: objectives.index(n.split(", ")[0])):
        objective, who = name.split(", ", 1)
        version = next((runs[name]["version"] for _, runs in found if "version" in runs.get(name, {})), "")
        rows.append([f"`{objective}`", who, version,
                     *[text for _, runs in found for text in (cell(runs.get(name), "ns"), ratio_of(runs.get(name), "times"))],
                     cell(found[0][1].get(name), "megabytes", 1)])
    return table(["objective", "written as", "version", *[f"{short_name(record)}: {title}" for record, _ in found
                                                          for title in ("ns per entry", "× distill")], "peak MB"], rows)


def relative_to(question, first):
    """A table of one question, every objective's runs relative to its run `first`."""
    def of(machines):
        rows, columns = {}, []
        found = that_measured(machines, question)
        for record, runs in found:
            for name, run in runs.items():
                objective, variant = name.split(", ", 1)
                column = f"{short_name(record)}: `{objective}`" if len(found) > 1 else f"`{objective}`"
                columns += [column] if column not in columns else []
                rows.setdefault(variant, {})[column] = number(run["ns"] / runs[f"{objective}, {first}"]["ns"])
        return table([question, *columns], [[variant, *[row.get(c, NOT_MEASURED) for c in columns]] for variant, row in rows.items()])
    return of


def vocabularies(machines):
    runs = that_measured(machines, "vocabulary")[0][1]
    best, rows = {}, {}
    for name, run in runs.items():
        objective, size = name.split(", ")
        best[objective] = min(best.get(objective, run["ns"]), run["ns"])
        rows.setdefault(size, {})[objective] = run["ns"]
    columns = list(best)
    return table(["vocabulary", *[f"`{c}`, ns per entry (× its best)" for c in columns]],
                 [[size, *[f"{number(row[c])} ({number(row[c] / best[c])})" for c in columns]] for size, row in rows.items()])


def calls(machines):
    measured = that_measured(machines, "one row")[0][0]["measured"]
    fused, separate = measured["fusion/one call"], measured["fusion/three calls"]
    whole = measured["masks/forward_kl, 0 % masked"]
    rows = [["three terms in three calls", f"{number(separate['ns'] / fused['ns'])} times the time of one call"]]
    rows += [[f"{share} of the rows masked", f"{number(measured[f'masks/forward_kl, {share} masked']['us'] / whole['us'])} times the time of none"]
             for share in ("50 %", "90 %")]
    rows += [[f"one row of {name.split('vocabulary ')[1]} entries", f"{number(run['us'])} µs"]
             for name, run in of_question(measured, "one row").items()]
    return table(["a call of `forward_kl`, unless it says three terms", "takes"], rows)


def compile_times(machines):
    times = next(record["compile time"] for record in machines if "compile time" in record)
    compilers = list(times)
    files = list(next(iter(times.values())))
    return table(["-O2", *[f"{c}, seconds" for c in compilers], *[f"{c}, × parsing Eigen" for c in compilers]],
                 [[f"`{file}`", *[number(times[c][file]["seconds"]) for c in compilers],
                   *[number(times[c][file]["ratio"], 1) for c in compilers]] for file in files])


def spread_of(runs, pattern):
    """(the least and the greatest × distill, their names) of the peers whose name matches; the names without what they have in common."""
    found = {who: run for who, run in runs.items() if re.fullmatch(pattern, who) and "times" in run}
    if not found:
        return None, None
    times = [number(run["times"], 1) for run in sorted(found.values(), key=lambda run: run["times"])]
    names = [re.sub(" (loops|expressions)", "", who.split(", ")[0]) + (f" {run['version']}" if "version" in run else "") +
             (" with -ffast-math" if "-ffast-math" in who else "") for who, run in found.items()]
    return " to ".join(dict.fromkeys((times[0], times[-1]))), ", ".join(dict.fromkeys(names))


def headline(machines):
    """Of the table of peers: what forward KL takes on each machine, and how many times as long others take."""
    lines = ["Forward KL with its gradient, one thread, 151 936 float logits in a row; others on the same logits, as many times as long:", ""]
    for record, runs in that_measured(machines, "peer"):
        runs = {name.split(", ", 1)[1]: run for name, run in runs.items() if name.startswith("forward_kl, ")}
        ours = next(run for who, run in runs.items() if who.startswith("distill"))
        native, native_names = spread_of(runs, "(xsimd loops|Eigen expressions), -O3 -march=native|scalar loop, .*-ffast-math")
        plain, plain_names = spread_of(runs, "(Eigen expressions|scalar loop), -O[23]")
        kept, pytorch = spread_of(runs, "PyTorch, .*, memory kept")
        anew, _ = spread_of(runs, "PyTorch, (eager|torch.compile)")
        libtorch, libtorch_name = spread_of(runs, "LibTorch")
        others = [f"C++ at -O3 -march=native ({native_names}) {native}" if native else "",
                  f"C++ without -march=native ({plain_names}) {plain}" if plain else "",
                  f"{pytorch}, compiled and eager, {kept} where malloc keeps its memory and {anew} where it does not" if kept else "",
                  f"{libtorch_name} {libtorch}" if libtorch else ""]
        lines.append(f"- **{short_name(record)}**, {record['machine']['instruction set']}, {record['peer rows']} rows, {record['compiler']} "
                     f"{record['flags']}: {number(ours['ns'])} ns per logit. {'; '.join(filter(None, others))}.")
    return "\n".join(lines)


FLOOR = {"ns per entry": lambda run: cell(run, "ns"), "× floor": ratio_of}
BLOCKS = {
    "headline": headline,
    "machine": machine,
    "objectives": by_machine("objective", "objective, loss and gradient", FLOOR),
    "values": by_machine("value", "value alone", {"ns per entry": lambda run: cell(run, "ns"), "× a read of z and w": ratio_of}),
    "math": by_machine("math", "function, whose, built with", {"ns per value": lambda run: cell(run, "ns", 3),
                                                               "× distill": lambda run: ratio_of(run, "times"),
                                                               "largest error, ulp": lambda run: cell(run, "ulp", 1)}),
    "peers": peers,
    "instruction sets": relative_to("instruction set", "avx512"),
    "element types": relative_to("element type", "float"),
    "destinations": relative_to("destination", "elsewhere"),
    "threads": relative_to("threads", "1"),
    "vocabularies": vocabularies,
    "calls": calls,
    "compile time": compile_times,
}


def wrapped(block):
    """Paragraphs and items of a list, broken into lines; a table as it is."""
    if block.startswith("|"):
        return block
    return "\n".join(textwrap.fill(line, 140, subsequent_indent="  " if line.startswith("- ") else "", break_long_words=False,
                                   break_on_hyphens=False) for line in block.splitlines())


def tables(arguments):
    machines, page = records(arguments.digest), pathlib.Path(arguments.page)
    stale = []

    def filled(match):
        block = wrapped(BLOCKS[match.group(1)](machines))
        if match.group(2).strip() != block:
            stale.append(match.group(1))
        return f"<!-- measured: {match.group(1)} -->\n{block}\n<!-- end -->"

    text = re.sub(r"<!-- measured: ([\w ]+) -->\n(.*?)<!-- end -->", filled, page.read_text(), flags=re.S)
    if arguments.check:
        sys.exit(f"{page}: not what {arguments.digest} says: {', '.join(stale)}" if stale else 0)
    page.write_text(text)


# ---- pictures ----


def series(arguments):
    machines = records(arguments.digest)
    folder = pathlib.Path(arguments.folder)
    bars = [["written as", "ns per entry"]]
    for name, run in that_measured(machines, "peer")[0][1].items():
        objective, who = name.split(", ", 1)
        if objective == "forward_kl":
            bars.append([who, str(run["ns"])])
    sizes = {}
    for name, run in that_measured(machines, "vocabulary")[0][1].items():
        objective, size = name.split(", ")
        sizes.setdefault(size, []).append(run)
    lines = [["vocabulary", "forward_kl", "jensen_shannon", "floor"]]
    lines += [[size, *[str(run["ns"]) for run in runs], str(runs[0]["floor"])] for size, runs in sizes.items()]
    for name, rows in {"peers": bars, "vocabularies": lines}.items():
        (folder / f"{name}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))


# ---- two runs ----


def measured_in(path):
    """{identity of the machine: its runs} of a digest or of a file of google-benchmark's."""
    content = json.loads(pathlib.Path(path).read_text())
    if "machines" in content:
        return {identity(record): record["measured"] for record in content["machines"]}
    return {(content["context"]["processor"], content["context"]["instruction set"]): medians(content)}


def compare(arguments):
    olds, news = measured_in(arguments.old), measured_in(arguments.new)
    common = [machine for machine in news if machine in olds]
    if not common:
        sys.exit("no machine is in both files")
    old, new = olds[common[0]], news[common[0]]
    worse = 0
    print(f"{'ratio to the floor':66} {'old':>8} {'new':>8} {'new/old':>8}")
    for name in old:
        if name not in new or "ratio" not in old[name]:
            continue
        change = new[name]["ratio"] / old[name]["ratio"]
        worse += change > arguments.allowed
        print(f"{name:66} {old[name]['ratio']:8.2f} {new[name]['ratio']:8.2f} {change:8.2f}" +
              ("  slower" if change > arguments.allowed else ""))
    for name in sorted(set(old) ^ set(new)):
        print(f"{name:66} only in the {'old' if name in old else 'new'} file")
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
