"""A loss from hidden states against PyTorch's own autograd of the whole logits."""

import resource
import unittest

import torch

import distill
import distill.torch
from formulas import distance, gradient_of, leaf, loss, rows

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2.0**-6}


def peak_of(of, result):
    """By how many bytes the process grows at most in forward and backward."""
    torch.manual_seed(8)
    hidden, weight = torch.randn(1024, 32, requires_grad=True), torch.randn(49152, 32, requires_grad=True)
    teacher_hidden, teacher_weight = torch.randn(1024, 32), torch.randn(49152, 32)
    # What is loaded or started once is not counted.
    of(hidden[:2].detach(), weight[:8].detach(), teacher_hidden[:2], teacher_weight[:8])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    of(hidden, weight, teacher_hidden, teacher_weight).backward()
    result.put(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def chunked(*arguments):
    return distill.torch.linear_loss(loss, chunk=32)(*arguments)


def whole(hidden, weight, teacher_hidden, teacher_weight):
    return loss(hidden @ weight.t(), teacher_hidden @ teacher_weight.t())


class Linear(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(6)

    def layers(self, kind):
        scale = 0.5
        return (leaf(torch.randn(3, 5, 16), kind), leaf(scale * torch.randn(301, 16), kind), torch.randn(3, 5, 24).to(kind),
                (scale * torch.randn(301, 24)).to(kind))

    def test_every_chunk_has_the_gradients_of_the_whole_logits(self):
        weights = torch.rand(3, 5, dtype=torch.float64) * (torch.rand(3, 5) < 0.7)
        for kind in (torch.float64, torch.float32, torch.bfloat16):
            h, w, t, u = self.layers(kind)
            of_rows = rows(h @ w.t(), t @ u.t())
            for reduction, given, reference in (("token_mean{}", None, of_rows.mean()),
                                                ("token_mean{}", weights, (of_rows * weights).sum() / weights.sum()),
                                                ("token_sum{}", weights, (of_rows * weights).sum())):
                of = loss if reduction == "token_mean{}" else distill.torch.loss(loss.objective.objective, reduction)
                for chunk in (1, 4, 256):
                    with self.subTest(kind=kind, reduction=reduction, weighted=given is not None, chunk=chunk):
                        mine = 3 * distill.torch.linear_loss(of, chunk)(h, w, t, u, weights=given)
                        self.assertLessEqual(distance(mine, 3 * reference), 1e-12 if kind == torch.float64 else 1e-5)
                        for parameter in (h, w):
                            found = gradient_of(mine, parameter)
                            self.assertEqual(found.dtype, kind)
                            self.assertLessEqual(distance(found, gradient_of(3 * reference, parameter)), TOLERANCE[kind])

    def test_masked_rows_may_hold_anything(self):
        h, w, t, u = self.layers(torch.float64)
        entropy, labels = distill.torch.loss("cross_entropy{} + forward_kl{}"), torch.randint(301, (3, 5))
        labels[1, 2] = labels[0, 0] = -100
        lin = distill.torch.linear_loss(entropy, chunk=4)
        of = lin(h, w, t, u, labels=labels)
        self.assertAlmostEqual(of.item(), entropy(h @ w.t(), t @ u.t(), labels=labels).item(), 12)
        expected = [gradient_of(of, parameter) for parameter in (h, w)]
        with torch.no_grad():
            h[1, 2] = t[0, 0] = float("nan")
        again = lin(h, w, t, u, labels=labels)
        self.assertEqual(again.item(), of.item())
        for parameter, gradient in zip((h, w), expected):
            self.assertTrue(torch.equal(gradient_of(again, parameter), gradient))
        self.assertEqual(expected[0][1, 2].abs().max().item(), 0.0)
        nothing = lin(h, w, t, u, labels=torch.full((3, 5), -100))
        self.assertEqual((nothing.item(), gradient_of(nothing, w).abs().max().item()), (0.0, 0.0))

    def test_only_what_is_asked_for_is_computed(self):
        h, w, t, u = self.layers(torch.float32)
        lin = distill.torch.linear_loss(loss)
        both = lin(h, w, t, u)
        frozen = lin(h, w.detach(), t, u)
        self.assertTrue(torch.equal(gradient_of(frozen, h), gradient_of(both, h)))
        head_alone = lin(h.detach(), w, t, u)
        self.assertTrue(torch.equal(gradient_of(head_alone, w), gradient_of(both, w)))
        self.assertFalse(lin(h.detach(), w.detach(), t, u).requires_grad)
        with torch.no_grad():
            self.assertEqual(lin(h, w, t, u).item(), both.item())

    def test_the_whole_logits_never_exist(self):
        context, peaks = torch.multiprocessing.get_context("spawn"), []
        for of in (chunked, whole):
            result = context.Queue()
            process = context.Process(target=peak_of, args=(of, result))
            process.start()
            peaks.append(result.get(timeout=60))
            process.join()
        logits = 1024 * 49152 * 4
        self.assertLess(peaks[0], logits / 2)
        self.assertGreater(peaks[1], 2 * logits)

    def test_operator(self):
        h, w, t, u = self.layers(torch.float32)
        operator = distill.torch.linear_loss(loss)._operator
        fields = [torch.ones(15), *[None] * 12]
        found = torch.library.opcheck(operator, (h, w, t, u, fields, 4, True, True, True))
        self.assertEqual(set(found.values()), {"SUCCESS"})
        compiled = torch.compile(lambda *of: distill.torch.linear_loss(loss, 4)(*of), backend="aot_eager", fullgraph=False)
        self.assertEqual(compiled(h, w, t, u).item(), distill.torch.linear_loss(loss, 4)(h, w, t, u).item())

    def test_refusals(self):
        h, w, t, u = self.layers(torch.float32)
        lin = distill.torch.linear_loss(loss)

        def refused(*arguments, **fields):
            with self.assertRaises((ValueError, RuntimeError)) as found:
                lin(*arguments, **fields)
            return str(found.exception)

        self.assertEqual(refused(h, w, t, w), "distill: teacher_weight asks for a gradient, and a loss gives one to batch.student alone: "
                                              "detach it")
        self.assertEqual(refused(h, w[:, :8], t, u), "distill: hidden has the shape [3, 5, 16] and weight [301, 8], expected [..., width] "
                                                     "and [vocabulary, width]")
        self.assertEqual(refused(h, w, t, u[:300]), "distill: the teacher has rows [3, 5] and a vocabulary of 300, the student [3, 5] and 301")
        self.assertEqual(refused(h, w, t.double(), u), "distill: teacher_hidden has elements of type float64, teacher_weight of float32")
        self.assertEqual(refused(h, w, t), "distill: teacher_hidden and teacher_weight are given together, or neither")
        self.assertEqual(refused(h, w, t, u, weights=torch.ones(5, 3)),
                         "distill: batch.weights has the shape [5, 3], expected [3, 5] or [15]")
        self.assertTrue(refused(h, w, t, u, weights=-torch.ones(3, 5)).startswith("distill: batch.weights[0] is -1, "))
        self.assertTrue(refused(h, w, t, u, weights=torch.full((3, 5), float("nan"))).startswith("distill: batch.weights[0] is "))
        self.assertEqual(refused(h, w, t, u, sequence_offsets=torch.tensor([0, 15])), "distill: a linear_loss has no field sequence_offsets")
        with self.assertRaisesRegex(distill.InvalidInput, "^distill: the reduction of a linear_loss is sequence_mean{}, expected"):
            distill.torch.linear_loss(distill.torch.loss("forward_kl{}", "sequence_mean{}"))
        with self.assertRaisesRegex(distill.InvalidInput, "^distill: chunk is 0, expected at least 1"):
            distill.torch.linear_loss(loss, 0)
        of = lin(h, w, t, u)
        with self.assertRaisesRegex(RuntimeError, "^distill: a loss is differentiated once"):
            torch.autograd.grad(of, h, create_graph=True)


if __name__ == "__main__":
    unittest.main()
