"""Holds bench/report.py to what the pages rely on: a digest keeps the other machines' records, and a page that drifts is refused.

usage: report_self_test.py REPOSITORY
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop()).resolve()
sys.path.insert(0, str(ROOT / "bench"))
import report  # noqa: E402

FLOOR = {"objective/forward_kl": [(1.0, 2.0, "x floor"), (1.2, 2.4, "x floor"), (1.1, 2.2, "x floor")]}
PEERS = {
    "peer/forward_kl, distill": [(1.0, 1.0, "x distill")],
    "peer/forward_kl, xsimd loops, -O3 -march=native": [(1.5, 1.5, "x distill")],
    "peer/forward_kl, scalar loop, -O2": [(12.0, 12.5, "x distill")],
    "peer/forward_kl, PyTorch, eager": [(18.0, 17.5, "x distill")],
    "peer/forward_kl, PyTorch, eager, memory kept": [(5.0, 4.5, "x distill")],
}


def results(processor, runs):
    """A file of google-benchmark's: {name: [(ns, ratio, what the ratio is to)]}."""
    return {"context": {"processor": processor, "model": "family 6, model 1", "num_cpus": 2, "caches": [], "instruction set": "AVX2",
                        "compiler": "g++ 12", "flags": "-O2", "peer rows": "64"},
            "benchmarks": [{"run_name": f"{name}/manual_time", "run_type": "iteration", "repetitions": len(of_name), "ns/entry": ns,
                            ratio_to: ratio, "floor": 0.5, "peak MB": 0.0, "label": "9.9" if "PyTorch" in name else ""}
                           for name, of_name in runs.items() for ns, ratio, ratio_to in of_name]}


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "compile.json").write_text("{}")

    def command(self, *arguments):
        return subprocess.run([sys.executable, str(ROOT / "bench" / "report.py"), *map(str, arguments)], capture_output=True, text=True)

    def digest(self, processor, runs):
        (self.folder / "results.json").write_text(json.dumps(results(processor, runs)))
        done = self.command("digest", self.folder / "results.json", self.folder / "compile.json", self.folder / "digest.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return report.records(self.folder / "digest.json")

    def test_a_digest_replaces_its_machine_s_record_and_keeps_the_others(self):
        self.digest("First (R) Processor", {**FLOOR, **PEERS})
        self.digest("Second", {**FLOOR, **PEERS})
        slower = {name: [(2 * ns, ratio, to) for ns, ratio, to in runs] for name, runs in {**FLOOR, **PEERS}.items()}
        machines = self.digest("First (R) Processor", slower)
        self.assertEqual([report.identity(m)[0] for m in machines], ["First (R) Processor", "Second"])
        self.assertEqual([m["measured"]["objective/forward_kl"]["ns"] for m in machines], [2.2, 1.1])

    def test_a_run_has_the_median_and_the_range_of_its_repetitions(self):
        run = self.digest("First", FLOOR)[0]["measured"]["objective/forward_kl"]
        self.assertEqual((run["ns"], run["ratio"], run["lowest"], run["highest"]), (1.1, 2.2, 2.0, 2.4))

    def test_the_headline_has_every_machine_and_the_ratios_of_its_table(self):
        self.digest("First", {**FLOOR, **PEERS})
        text = report.headline(self.digest("Second", {**FLOOR, **PEERS}))
        for part in ("**First**", "**Second**", "64 rows", "g++ 12 -O2", "-O3 -march=native (xsimd) 1.5", "(scalar loop) 12",
                     "PyTorch 9.9", "4.5 where malloc keeps its memory", "18 where it does not"):
            self.assertIn(part, text)

    def test_a_headline_has_no_peer_that_was_not_measured(self):
        text = report.headline(self.digest("First", {"peer/forward_kl, distill": PEERS["peer/forward_kl, distill"]}))
        self.assertNotIn("PyTorch", text)
        self.assertNotIn("None", text)

    def test_a_page_that_is_not_what_the_digest_says_is_refused(self):
        self.digest("First", {**FLOOR, **PEERS})
        page = self.folder / "page.md"
        page.write_text("before\n<!-- measured: peers -->\n<!-- end -->\nafter\n")
        arguments = ("tables", self.folder / "digest.json", page)
        self.assertNotEqual(self.command(*arguments, "--check").returncode, 0)
        self.assertEqual(self.command(*arguments).returncode, 0)
        self.assertEqual(self.command(*arguments, "--check").returncode, 0)
        self.assertIn("| `forward_kl` | PyTorch, eager | 9.9 | 18 | 18 | 0.0 |", page.read_text())
        page.write_text(page.read_text().replace("| 18 |", "| 81 |", 1))
        self.assertIn("peers", self.command(*arguments, "--check").stderr)

    def test_compare_refuses_a_ratio_to_the_floor_that_grew_and_another_machine(self):
        for name, factor, processor in (("old", 1.0, "First"), ("same", 1.0, "First"), ("slow", 1.3, "First"), ("other", 1.0, "Second")):
            runs = {bench: [(ns, factor * ratio, to) for ns, ratio, to in of_bench] for bench, of_bench in FLOOR.items()}
            (self.folder / name).write_text(json.dumps(results(processor, runs)))
        outcome = {name: self.command("compare", self.folder / "old", self.folder / name).returncode for name in ("same", "slow", "other")}
        self.assertEqual(outcome, {"same": 0, "slow": 1, "other": 1})


if __name__ == "__main__":
    unittest.main()
