"""What is compiled is compiled once, under a name that says what it is made from."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from distill import build

# A short source: these tests compile it many times.
SOURCE = "#include <distill/core/version.hpp>\nextern \"C\" int version() { return DISTILL_VERSION; }\n"
PROGRAM = f"from distill import build; print(build.shared_library({SOURCE!r}))"


class Cache(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        # A compiler that writes down when it compiles, and takes its time.
        self.log, self.compiler = self.folder / "log", self.folder / "compiler"
        self.compiler.write_text(f"#!/bin/sh\ncase \"$*\" in *-shared*) echo compiled >>{self.log}; sleep 0.5 ;; esac\nexec g++ \"$@\"\n")
        self.compiler.chmod(0o755)
        self.environment = {**os.environ, "CXX": str(self.compiler), "DISTILL_CACHE": str(self.folder / "cache")}

    def start(self, program=PROGRAM, **environment):
        return subprocess.Popen([sys.executable, "-c", program], env={**self.environment, **environment}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, process):
        output, errors = process.communicate(timeout=120)
        return output.strip() if process.returncode == 0 else errors.strip().splitlines()[-1]

    def run_once(self, program=PROGRAM, **environment):
        return self.finish(self.start(program, **environment))

    def compilations(self):
        return self.log.read_text().count("compiled") if self.log.exists() else 0

    def test_processes_on_a_cold_cache_compile_once(self):
        paths = {self.finish(process) for process in [self.start() for _ in range(4)]}
        self.assertEqual(len(paths), 1)
        self.assertTrue(pathlib.Path(paths.pop()).is_file())
        self.assertEqual(self.compilations(), 1)
        self.run_once()
        self.assertEqual(self.compilations(), 1)
        self.assertEqual([path for path in (self.folder / "cache").iterdir() if path.name.startswith("building-")], [])

    def test_a_lock_whose_holder_died_blocks_nobody(self):
        target = pathlib.Path(self.run_once())
        target.unlink()
        holder = self.start(f"import fcntl, os, signal; f = open({str(target.with_suffix('.lock'))!r}, 'w'); "
                            "fcntl.flock(f, fcntl.LOCK_EX); os.kill(os.getpid(), signal.SIGKILL)")
        holder.communicate()
        self.assertEqual(self.run_once(), str(target))

    def test_a_lock_that_is_held_too_long_blocks_nobody(self):
        target = pathlib.Path(self.run_once())
        target.unlink()
        holder = self.start(f"import fcntl, sys; f = open({str(target.with_suffix('.lock'))!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
                            "print('held', flush=True); sys.stdin.read()" .replace("sys.stdin.read()", "__import__('time').sleep(60)"))
        self.assertEqual(holder.stdout.readline().strip(), "held")
        self.assertEqual(self.run_once(PROGRAM.replace("print", "build.PATIENCE = 0.2; print")), str(target))
        holder.kill()
        holder.communicate()

    def test_the_name_depends_on_contents_alone(self):
        copy = self.folder / "headers"
        shutil.copytree(build.include_folder(), copy)
        first = pathlib.Path(self.run_once(DISTILL_INCLUDE=str(copy))).name
        self.assertEqual(pathlib.Path(self.run_once()).name, first)  # another place
        for path in copy.rglob("*.hpp"):
            os.utime(path, (1, 1))
        self.assertEqual(pathlib.Path(self.run_once(DISTILL_INCLUDE=str(copy))).name, first)  # another time
        changed = copy / "distill" / "reduction" / "token_mean.hpp"
        changed.write_text(changed.read_text() + "\n// another line\n")
        self.assertNotEqual(pathlib.Path(self.run_once(DISTILL_INCLUDE=str(copy))).name, first)
        self.assertNotEqual(pathlib.Path(self.run_once(DISTILL_CXXFLAGS="-O1")).name, first)
        self.assertNotEqual(pathlib.Path(self.run_once(PROGRAM.replace("version()", "other()"))).name, first)
        self.compiler.write_text(self.compiler.read_text().replace("#!/bin/sh\n", "#!/bin/sh\n[ \"$1\" != --version ] || echo newer\n"))
        self.assertNotEqual(pathlib.Path(self.run_once()).name, first)

    def test_production_forbids_to_compile_and_loads_what_is_there(self):
        sentence = self.run_once(DISTILL_COMPILE="never")
        self.assertIn("distill: this loss is not in the cache", sentence)
        self.assertEqual(self.compilations(), 0)
        path = self.run_once()
        self.assertEqual(self.run_once(DISTILL_COMPILE="never"), path)

    def test_what_is_missing_is_named(self):
        self.assertIn("distill: /nowhere has no distill/distill.hpp", self.run_once(DISTILL_INCLUDE="/nowhere"))
        self.assertIn("distill: /nowhere has no Eigen/Core", self.run_once(DISTILL_EIGEN="/nowhere"))
        self.assertIn("distill: the compiler /nowhere does not run", self.run_once(CXX="/nowhere"))

    def test_an_objective_that_does_not_compile_begins_with_the_librarys_own_sentence(self):
        program = ("from distill import CompileError, objective\n"
                   "try: objective.Objective('forward_kl{{}} + 1.0').compile()\n"
                   "except CompileError as error: print(str(error).splitlines()[0])").replace("{{}}", "{}")
        self.assertTrue(self.run_once(program).startswith("distill: a term is added to a term"), self.run_once(program))
        self.assertEqual(list((self.folder / "cache").glob("*.so")), [])

    def test_losses_are_compiled_ahead(self):
        command = [sys.executable, "-m", "distill.compile", "forward_kl{}", "--types", "float32"]
        made = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()
        self.assertTrue(pathlib.Path(made).is_file())
        use = ("import numpy, distill.numpy; z = numpy.zeros((1, 4), 'f'); "
               "print(distill.numpy.loss('forward_kl{}').value(z, z))")
        self.assertEqual(self.run_once(use, DISTILL_COMPILE="never"), "0.0")
        wrong = subprocess.run([*command, "int8"], env=self.environment, capture_output=True, text=True, check=False)
        self.assertIn("int8: expected one of float32", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
