"""Rehearses `./run gpu` without a GPU: all of it at tiny sizes with the emulation's programs, and what may be missing or fail.

usage: rehearse.py WITH_DEVICE TEST_CUDA BENCH_CUDA CUDA_STREAM BACKEND_SWITCH
"""

import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND, PAGE = ROOT / "tests/gpu/gpu.py", ROOT / "bench/cuda/page.py"
PROGRAMS = {}

SUITE, CATALOGUE = "suite gpu: contracts, calls, streams, graphs, rows that blocks share", "suite gpu: conformance of the whole catalogue"
AT = {"with_device": "tests/gpu/with_device", "test_gpu": "tests/gpu/test_gpu", "test_gpu_catalogue": "tests/gpu/test_gpu_catalogue",
      "bench_cuda": "bench/cuda/bench_cuda", "gpu_cuda_stream": "tests/gpu/gpu_cuda_stream",
      "gpu_backend_switch": "tests/gpu/gpu_backend_switch"}

PASSES = """#!/bin/sh
echo '[doctest] test cases:  2 |  2 passed | 0 failed | 0 skipped'
echo '[doctest] assertions: 10 | 10 passed | 0 failed |'
"""
FAILING_CASE = """#!/bin/sh
echo 'TEST CASE:  streams keep apart'
echo '[doctest] test cases:  2 |  1 passed | 1 failed | 0 skipped'
echo '[doctest] assertions: 10 |  9 passed | 1 failed |'
exit 1
"""
NO_CASE = """#!/bin/sh
echo '[doctest] test cases:  0 |  0 passed | 0 failed | 9 skipped'
echo '[doctest] assertions:  0 |  0 passed | 0 failed |'
"""
MEASURES = """#!/bin/sh
for word; do
    case $word in --benchmark_out=*)
        echo '{"context": {"device": "a device"}, "benchmarks": [{"name": "float, 8 x 1000/forward_kl/manual_time",
               "us/call": 12.5, "ns/entry": 0.5, "GB/s": 100.0, "of copy": 0.25}]}' >"${word#*=}" ;;
    esac
done
"""
CRASHES = "#!/bin/sh\nkill -SEGV $$\n"
HANGS = "#!/bin/sh\nsleep 1000\n"
NO_DEVICE = "#!/bin/sh\necho 'skipped, nothing has run: no CUDA device here: no driver'\nexit 77\n"
# Runs what stands after its own options, as compute-sanitizer does.
SANITIZER = """#!/bin/sh
tool=$2
while [ "${1#--}" != "$1" ]; do
    case $1 in --tool | --error-exitcode | --report-api-errors) shift ;; esac
    shift
done
"$@" || exit $?
"""
FINDS = SANITIZER + "[ $tool = racecheck ] || exit 0\necho '========= RACECHECK SUMMARY: 3 hazards displayed (3 errors, 0 warnings)'\nexit 86\n"
PEERS = """import json, sys
out = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--benchmark_out="))
columns = {"us/call": 12.5, "ns/entry": 0.5, "GB/s": 100.0, "of copy": 0.25}
name = "float, 8 x 1000/forward_kl, "
runs = [{"name": name + "PyTorch", **columns},
        {"name": name + "torch.compile", "error_occurred": True, "error_message": MESSAGE}]
with open(out, "w") as file:
    json.dump({"context": {"device": "a device", "left out": {"Liger-Kernel": "not installed: no module"}}, "benchmarks": runs}, file)
"""
SLOW = "import time\ntime.sleep(1000)\n"


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


class Rehearsal(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.build = self.folder / "build"
        self.build.mkdir()

    def prepare_quick(self, **instead):
        self.prepare(**{"test_gpu": PASSES, "test_gpu_catalogue": PASSES, "bench_cuda": MEASURES, **instead})

    def prepare(self, unbuilt=(), rule="fails", **instead):
        """A build whose programs are the emulation's, but for those of `instead`; those of `unbuilt` do not compile, or for ever."""
        lines = ["rule link", "  command = mkdir -p $$(dirname $out) && ln -sf $in $out", "rule fails", "  command = false",
                 "rule hangs", "  command = echo $$$$ >compiler; exec sleep 1000"]
        for target, at in AT.items():
            source = PROGRAMS[target] if target not in instead else program(self.folder / target, instead[target])
            lines += [f"build {at}: {rule if target in unbuilt else 'link'} {source}", f"build {target}: phony {at}"]
        (self.build / "build.ninja").write_text("\n".join(lines) + "\n")

    def command(self, *arguments, path=None):
        environment = os.environ if path is None else {**os.environ, "PATH": str(path)}
        done = subprocess.run([sys.executable, COMMAND, *arguments, "--out", self.folder / "out"], capture_output=True, text=True,
                              timeout=120, env=environment, check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def measure(self, *arguments, peers=None, sanitizer=None, seconds=60):
        more = [] if peers is None else ["--peers", program(self.folder / "peers.py", peers)]
        more += [] if sanitizer is None else ["--sanitizer", program(self.folder / "sanitizer", sanitizer)]
        status = self.command("measure", "--rehearsal", self.build, "--seconds", str(seconds), *more, *arguments)
        file = self.folder / "out/gpu.json"
        self.found = json.loads(file.read_text()) if file.exists() else {}
        self.steps = {step["name"]: step for step in self.found.get("steps", ())}
        return status

    def outcome(self, name):
        return self.steps[name]["outcome"]

    def why(self, name):
        return self.steps[name]["why"]

    def only_failed(self, *names):
        self.assertEqual([name for name in self.steps if self.outcome(name) == "failed"], list(names), self.output)
        self.assertIn(f"failed: {', '.join(names)}", self.output)

    # ---- all of it ----

    def test_everything_that_is_here_runs_and_a_missing_peer_keeps_nothing_from_it(self):
        self.prepare()
        self.assertEqual(self.measure(), 0, self.output)
        for name in ("build", SUITE, CATALOGUE, "example cuda_stream", "example backend_switch", "bench_cuda"):
            self.assertEqual(self.outcome(name), "passed", self.output)
        self.assertGreater(self.steps[SUITE]["cases"], 10)
        self.assertGreater(self.steps[CATALOGUE]["assertions"], 50)
        for tool in ("racecheck", "synccheck", "memcheck"):
            self.assertEqual(self.outcome(f"compute-sanitizer {tool}"), "left out")
        self.assertEqual(self.outcome("Python's peers"), "left out")
        self.assertIn("no Python peer is measured", self.why("Python's peers"))
        self.assertEqual(self.found["peers"]["three kernels"], "measured")
        self.assertIn("left out: ", self.found["peers"]["PyTorch"])
        self.assertIn("float, 8 x 1000/tgpo, argmax", self.found["measured"])
        self.assertEqual(self.found["device"]["name"], "the emulation on the CPU")
        fragment = (self.folder / "out/gpu.md").read_text()
        self.assertTrue(fragment.startswith("# REHEARSAL UNDER THE EMULATION\n\n# NOTHING BELOW RAN ON A GPU"), fragment)
        self.assertIn("| forward_kl, three kernels |", fragment)
        self.refused("it is a rehearsal under the emulation")
        self.holds_the_pages()

    def test_peers_and_a_sanitizer_that_are_here(self):
        self.prepare()
        self.assertEqual(self.measure(peers=PEERS.replace("MESSAGE", '"CUDA out of memory. Tried to allocate"'), sanitizer=SANITIZER), 0,
                         self.output)
        for tool in ("racecheck", "synccheck", "memcheck"):
            self.assertEqual(self.outcome(f"compute-sanitizer {tool}"), "passed")
        self.assertEqual(self.steps["Python's peers"]["measured"], 1)
        self.assertIn("no memory for 1", self.why("Python's peers"))
        self.assertEqual(self.found["peers"]["PyTorch"], "measured")
        self.assertEqual(self.found["peers"]["Liger-Kernel"], "left out: not installed: no module")

    def test_the_python_peers_keep_what_they_have_after_every_run(self):
        sys.path.insert(0, str(PAGE.parent))
        import peers

        class Logits:
            def __add__(self, other):
                return self

            def __rmul__(self, scale):
                return self

            def to(self, dtype):
                return self

            def element_size(self):
                return 4

        class NoMemory(Exception):
            pass

        def made(rows, *_, **__):
            if rows == 4096:
                raise NoMemory
            return Logits()

        def measured(torch, work, *_):
            if work() == "too much":
                raise NoMemory("CUDA out of memory. Tried to allocate 2 GiB")
            return {"us/call": 1.0, "ns/entry": 1.0, "GB/s": 1.0, "of copy": 1.0}

        torch = types.SimpleNamespace(float32=None, randn=made, empty_like=lambda like: like,
                                      Generator=lambda device: types.SimpleNamespace(manual_seed=lambda seed: None),
                                      cuda=types.SimpleNamespace(OutOfMemoryError=NoMemory, empty_cache=lambda: None))
        some = [("PyTorch", {"forward_kl": "right", "reverse_kl": "wrong", "jensen_shannon": "too much"}, None),
                ("Liger-Kernel", {}, "not installed")]
        file = self.folder / "peers.json"
        results = peers.Results({"device": "a device"}, file, None)
        with unittest.mock.patch.object(peers, "difference", lambda torch, name, loss, z, w: 1.0 if loss == "wrong" else 0.0), \
             unittest.mock.patch.object(peers, "measure", measured), \
             unittest.mock.patch.object(peers, "loss_and_gradient", lambda loss, z, w: loss), contextlib.redirect_stdout(io.StringIO()):
            for rows in (8, 4096):
                peers.measure_shape(torch, some, "float", rows, 1000, "", results)
                written = json.loads(file.read_text())
                self.assertEqual(written["benchmarks"], results.runs)
            results.end = 0.0
            peers.measure_shape(torch, some, "float", 8, 32000, "", results)
        self.assertTrue(results.measured())
        messages = {run["name"]: run.get("error_message") for run in results.runs}
        self.assertEqual(messages, {"float, 8 x 1000/forward_kl, PyTorch": None,
                                    "float, 8 x 1000/reverse_kl, PyTorch": "its answer differs from PyTorch's in double by 1.0e+00",
                                    "float, 8 x 1000/jensen_shannon, PyTorch": "failed: NoMemory: CUDA out of memory. Tried to allocate 2 GiB",
                                    **{f"float, 4096 x 1000/{name}, PyTorch": "CUDA out of memory"
                                       for name in ("forward_kl", "reverse_kl", "jensen_shannon")}})
        self.assertEqual(json.loads(file.read_text())["context"]["not begun in time"], 3)

    # ---- what is missing ----

    def test_no_nvcc(self):
        (self.folder / "empty").mkdir()
        for command in ("probe", "measure"):
            self.assertEqual(self.command(command, path=self.folder / "empty"), 77)
            self.assertEqual(self.output, "nothing has run: there is no nvcc here\n")

    def nvcc(self, text):
        tools = self.folder / "tools"
        tools.mkdir()
        for name in ("sh", "true", "cp", "echo"):
            (tools / name).symlink_to(shutil.which(name))
        program(tools / "nvcc", text)
        return tools

    def test_no_device(self):
        source = program(self.folder / "no_device", NO_DEVICE)
        tools = self.nvcc(f"#!/bin/sh\nwhile [ $# -gt 1 ]; do [ $1 != -o ] || cp {source} $2; shift; done\necho release 13.0\n")
        for command in ("probe", "measure"):
            self.assertEqual(self.command(command, path=tools), 77, self.output)
            self.assertEqual(self.output, "skipped, nothing has run: no CUDA device here: no driver\n")
        self.prepare(with_device=NO_DEVICE)
        self.assertEqual(self.measure(), 77, self.output)
        self.assertEqual(self.found, {})

    def test_an_nvcc_that_compiles_nothing(self):
        self.assertEqual(self.command("probe", path=self.nvcc("#!/bin/sh\necho no host compiler\nexit 1\n")), 1)
        self.assertIn("nvcc does not compile the smallest kernel: it ended with status 1: no host compiler", self.output)

    # ---- what fails ----

    def test_a_suite_that_fails_is_named_and_keeps_nothing_from_running(self):
        self.prepare_quick(test_gpu=FAILING_CASE)
        self.assertEqual(self.measure(), 1)
        self.only_failed(SUITE)
        self.assertEqual(self.why(SUITE), "1 of 2 test cases failed; streams keep apart")
        for name in (CATALOGUE, "bench_cuda"):
            self.assertEqual(self.outcome(name), "passed", self.output)
        self.assertIn(f"| {SUITE} | failed |", (self.folder / "out/gpu.md").read_text())

    def test_a_suite_that_crashes_and_one_without_a_case(self):
        self.prepare_quick(test_gpu=CRASHES, test_gpu_catalogue=NO_CASE)
        self.assertEqual(self.measure(), 1)
        self.only_failed(SUITE, CATALOGUE)
        self.assertEqual(self.why(SUITE), "it ended by SIGSEGV")
        self.assertEqual(self.why(CATALOGUE), "no test case ran")

    def test_what_hangs_is_ended_in_time_and_the_rest_runs(self):
        self.prepare_quick(test_gpu_catalogue=HANGS)
        self.assertEqual(self.measure(seconds=20, sanitizer=HANGS, peers=PEERS.replace("MESSAGE", '"out of memory"') + SLOW), 1)
        self.only_failed(CATALOGUE)
        self.assertIn("it had not ended after", self.why(CATALOGUE))
        self.assertEqual(self.outcome("compute-sanitizer memcheck"), "left out")
        self.assertEqual(self.outcome("bench_cuda"), "passed", self.output)
        self.assertEqual(self.outcome("Python's peers"), "passed")
        self.assertIn("it had not ended after", self.why("Python's peers"))
        self.assertLessEqual(self.found["seconds"], 21)

    def test_what_does_not_build(self):
        self.prepare_quick(unbuilt=("test_gpu_catalogue", "bench_cuda"))
        self.assertEqual(self.measure(), 1)
        self.only_failed("build", CATALOGUE, "bench_cuda")
        self.assertIn("test_gpu_catalogue does not build", self.why("build"))
        self.assertEqual(self.outcome(SUITE), "passed")

    def test_a_build_that_does_not_end_in_time_leaves_no_compiler_behind(self):
        self.prepare_quick(unbuilt=("test_gpu_catalogue",), rule="hangs")
        self.assertEqual(self.measure(seconds=8), 1)
        self.assertIn("test_gpu_catalogue not built in time; it had not ended after", self.why("build"))
        self.assertEqual(self.why(CATALOGUE), "not built in time")
        self.assertEqual(self.outcome(SUITE), "passed", self.output)
        with self.assertRaises(ProcessLookupError):
            os.kill(int((self.build / "compiler").read_text()), 0)

    def test_what_the_sanitizer_finds(self):
        self.prepare_quick()
        self.assertEqual(self.measure(sanitizer=FINDS), 1)
        self.only_failed("compute-sanitizer racecheck")
        self.assertIn("3 hazards", self.why("compute-sanitizer racecheck"))

    def test_benchmarks_that_end_half_way_and_peers_that_differ(self):
        self.prepare_quick(bench_cuda="#!/bin/sh\necho an illegal memory access was encountered\nexit 1\n")
        self.assertEqual(self.measure(peers=PEERS.replace("MESSAGE", '"its answer differs"')), 1)
        self.only_failed("bench_cuda", "Python's peers")
        self.assertIn("illegal memory access", self.why("bench_cuda"))
        self.assertEqual(self.why("Python's peers"), "float, 8 x 1000/forward_kl, torch.compile: its answer differs")
        self.assertEqual(self.found["peers"]["three kernels"], "left out: bench_cuda did not measure it")

    def test_results_in_a_form_that_nobody_expects_are_a_failure_of_their_step(self):
        self.prepare_quick(bench_cuda=MEASURES.replace("ns/entry", "ns per entry"))
        self.assertEqual(self.measure(peers=PEERS.replace("MESSAGE", '"out of memory"')), 1)
        self.only_failed("bench_cuda")
        self.assertIn("KeyError: 'ns/entry'", self.why("bench_cuda"))
        self.assertEqual(self.outcome("Python's peers"), "passed")

    # ---- the pages ----

    def page(self, root, *arguments):
        done = subprocess.run([sys.executable, PAGE, *arguments, "--root", root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def checkout(self):
        root = self.folder / "checkout"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("README.md", "docs/cuda.md", "bench/cuda/gpu.json"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).exists():
                shutil.copyfile(ROOT / name, root / name)
        return root

    def refused(self, sentence):
        """The run's JSON is no page's, neither published nor as a file that somebody has put there."""
        root = self.checkout()
        before = (root / "docs/cuda.md").read_text()
        status, output = self.page(root, "publish", self.folder / "out/gpu.json")
        self.assertEqual(status, 1)
        self.assertIn(sentence, output)
        self.assertEqual((root / "docs/cuda.md").read_text(), before)
        shutil.copyfile(self.folder / "out/gpu.json", root / "bench/cuda/gpu.json")
        status, output = self.page(root, "check")
        self.assertEqual(status, 1)
        self.assertIn(sentence, output)

    def holds_the_pages(self):
        """What would be a device's JSON fills the pages, and they are held to it; the rehearsal's with a word changed does not."""
        file = self.folder / "out/gpu.json"
        made_up = {"name": "Made Up", "compute capability": "9.0"}
        for change, sentence in (({"rehearsal": False}, "it is a rehearsal"), ({"device": made_up}, "it is a rehearsal"),
                                 ({"rehearsal": False, "device": {"compute capability": "9.0"}}, "it names no device")):
            file.write_text(json.dumps({**self.found, **change}))
            self.refused(sentence)
        root = self.checkout()
        page, kept = root / "docs/cuda.md", root / "bench/cuda/gpu.json"
        kept.unlink(missing_ok=True)
        file.write_text(json.dumps({**self.found, "rehearsal": False, "device": made_up}))
        self.assertEqual(self.page(root, "publish", file), (0, ""))
        self.assertEqual(self.page(root, "check"), (0, ""))
        for name in ("README.md", "docs/cuda.md"):
            self.assertIn("It ran on Made Up on ", (root / name).read_text())
            self.assertNotIn("has not run", (root / name).read_text())
        published = page.read_text()
        self.assertIn("| forward_kl, three kernels |", published)
        page.write_text(published.replace("| passed |", "| failed |", 1))
        self.assertEqual(self.page(root, "check")[0], 1)
        page.write_text(published.replace("<!-- gpu: results -->", ""))
        self.assertEqual(self.page(root, "check")[0], 1)
        page.write_text(published)
        kept.unlink()  # the pages say that it has run; no file does
        status, output = self.page(root, "check")
        self.assertEqual(status, 1)
        self.assertIn("has run on no GPU", output)


if __name__ == "__main__":
    PROGRAMS = dict(zip(("with_device", "test_gpu", "bench_cuda", "gpu_cuda_stream", "gpu_backend_switch"), sys.argv[1:], strict=True))
    PROGRAMS["test_gpu_catalogue"] = PROGRAMS["test_gpu"]
    unittest.main(argv=sys.argv[:1])
