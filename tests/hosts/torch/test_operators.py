"""The operators as PyTorch itself tests them, and under torch.compile."""

import ctypes
import os
import tempfile
import unittest

import torch

import distill.torch
from formulas import distance, gradient_of, loss, rows


def arguments(student, teacher, **fields):
    return tuple(loss._arguments(student, teacher, fields))


def rank(number, world, folder):
    """One process of two, each with half of the rows."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=world)
    torch.manual_seed(5)
    model, inputs, teacher = torch.nn.Linear(8, 50), torch.randn(8, 8), torch.randn(8, 50)
    whole = torch.nn.Linear(8, 50)
    whole.load_state_dict(model.state_dict())
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    part = slice(number * 4, number * 4 + 4)
    loss(parallel(inputs[part]), teacher[part]).backward()
    loss(whole(inputs), teacher).backward()
    torch.save(distance(model.weight.grad, whole.weight.grad), f"{folder}/{number}")
    torch.distributed.destroy_process_group()


class Operators(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(4)

    def test_opcheck(self):
        weights = torch.tensor([1.0, 0.0, 2.0])
        for operator in loss._operators.values():
            for kind in (torch.float32, torch.float64, torch.float16):
                student, teacher = torch.randn(3, 7, dtype=kind, requires_grad=True), torch.randn(3, 7, dtype=kind)
                for fields in ({}, {"weights": weights}):
                    found = torch.library.opcheck(operator, arguments(student, teacher, **fields))
                    self.assertEqual(set(found.values()), {"SUCCESS"})
                    self.assertEqual(len(found), 4)

    def test_gradcheck(self):
        student, teacher = torch.randn(3, 7, dtype=torch.float64, requires_grad=True), torch.randn(3, 7, dtype=torch.float64)
        weights = torch.tensor([1.0, 0.0, 2.0])
        self.assertTrue(torch.autograd.gradcheck(lambda z: loss(z, teacher, weights=weights), (student,)))
        self.assertTrue(torch.autograd.gradcheck(lambda z: loss.per_token(z, teacher, weights=weights), (student,)))

    def test_compiled_without_a_break_it_is_what_it_is(self):
        def step(z, w, mask):
            return 2 * loss(z.tanh() * 5, w, weights=mask) + loss.per_token(z, w).square().mean()

        compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
        for batch in (2, 3):  # another shape: it is compiled for any
            for kind in (torch.float32, torch.bfloat16):
                z, w = torch.randn(batch, 8, 320, dtype=kind, requires_grad=True), torch.randn(batch, 8, 320, dtype=kind)
                mask = torch.rand(batch, 8) < 0.7
                self.assertLessEqual(distance(compiled(z, w, mask), step(z, w, mask)), 1e-6)
                # PyTorch keeps no graph of what it compiled.
                found = torch.autograd.grad(compiled(z, w, mask), z)[0]
                self.assertLessEqual(distance(found, gradient_of(step(z, w, mask), z)), 1e-6 if kind == torch.float32 else 2.0**-7)
                if kind == torch.float32:
                    reference = 2 * (rows(z.tanh() * 5, w) * mask).sum() / mask.sum() + rows(z, w).square().mean()
                    self.assertLessEqual(distance(found, gradient_of(reference, z)), 1e-5)

    def test_losses_of_the_same_share_an_operator(self):
        same = distill.torch.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")
        other = distill.torch.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}", temperature=2.0)
        self.assertIs(same._operators[False], loss._operators[False])
        self.assertIsNot(other._operators[False], loss._operators[False])
        z, w = torch.randn(3, 9, dtype=torch.float64), torch.randn(3, 9, dtype=torch.float64)
        self.assertAlmostEqual(other(z, w).item(), rows(z / 2, w / 2).mean().item(), 12)

    def test_pytorchs_own_threads_compute(self):
        self.assertIsNotNone(distill.torch._loop())
        calls, seen = torch.get_num_threads(), []
        body = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(lambda begin, end, _: seen.append((begin, end)))
        loop = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
        torch.set_num_threads(2)
        status = loop(distill.torch._loop())(0, 64, 1, ctypes.cast(body, ctypes.c_void_p), None)
        torch.set_num_threads(calls)
        self.assertEqual(status, 0)
        self.assertEqual(sorted(seen), [(0, 32), (32, 64)])

    def test_two_processes_have_the_gradient_of_one(self):
        with tempfile.TemporaryDirectory() as folder:
            torch.multiprocessing.spawn(rank, (2, folder), 2)
            for number in range(2):
                self.assertLessEqual(torch.load(os.path.join(folder, str(number))), 1e-5)


if __name__ == "__main__":
    unittest.main()
