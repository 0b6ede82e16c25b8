"""Losses and gradients against PyTorch's own autograd, and what is refused."""

import unittest

import torch

import distill
import distill.torch
from formulas import LOSS_TOLERANCE, TOLERANCE, distance, gradient_of, leaf, loss, rows

PAIRS = [(torch.float64, torch.float64), (torch.float64, torch.float32), (torch.float32, torch.float32), (torch.float16, torch.float16),
         (torch.float16, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.bfloat16, torch.float32)]


def random(*shape):
    return 2 * torch.randn(shape, dtype=torch.float64)


class Agreement(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)

    def check(self, mine, reference, student):
        kind = student.dtype
        self.assertLessEqual(abs(mine.item() - reference.item()), LOSS_TOLERANCE[kind] * abs(reference.item()))
        gradient = gradient_of(mine, student)
        self.assertEqual((gradient.dtype, gradient.shape), (kind, student.shape))
        self.assertLessEqual(distance(gradient, gradient_of(reference, student)), TOLERANCE[kind])

    def test_every_pair_of_element_types_with_a_factor_and_another_loss_on_top(self):
        for of_student, of_teacher in PAIRS:
            with self.subTest(student=of_student, teacher=of_teacher):
                student, teacher = leaf(random(2, 3, 1001), of_student), random(2, 3, 1001).to(of_teacher)
                before, own = student.detach().clone(), loss(student, teacher)
                self.assertEqual(own.dtype, torch.float64 if of_student == torch.float64 else torch.float32)
                self.check(own, rows(student, teacher).mean(), student)
                self.check(3 * own, 3 * rows(student, teacher).mean(), student)
                other = 0.1 * student.double().square().mean()
                self.check(0.5 * own + other, 0.5 * rows(student, teacher).mean() + other, student)
                self.assertTrue(torch.equal(student, before))

    def test_losses_per_row_have_the_gradient_of_their_own_row(self):
        factors = torch.tensor([[1.0, -2.0, 0.0], [300.0, 0.25, -0.01]], dtype=torch.float64)
        for of_student, of_teacher in ((torch.float32, torch.float32), (torch.float16, torch.float16), (torch.bfloat16, torch.float32)):
            student, teacher = leaf(random(2, 3, 57), of_student), random(2, 3, 57).to(of_teacher)
            mine, reference = loss.per_token(student, teacher), rows(student, teacher)
            self.assertEqual(mine.shape, reference.shape)
            self.assertLessEqual(distance(mine, reference), LOSS_TOLERANCE[of_student])
            found, expected = (gradient_of((of * factors).sum(), student) for of in (mine, reference))
            for b, t in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]:
                self.assertLessEqual(distance(found[b, t], expected[b, t]), TOLERANCE[of_student])
            self.assertEqual(found[0, 2].abs().max().item(), 0.0)
            masked = loss.per_token(student, teacher, weights=torch.tensor([[2.0, 0.0, 1.0], [0.5, 1.0, 0.0]]))
            kept = torch.tensor([[1, 0, 1], [1, 1, 0]])
            self.assertLessEqual(distance(masked, reference * kept), LOSS_TOLERANCE[of_student])
            self.assertLessEqual(distance(gradient_of(masked.sum(), student), gradient_of((reference * kept).sum(), student)),
                                 TOLERANCE[of_student])

    def test_weights_and_labels_of_any_type(self):
        student, teacher = leaf(random(2, 4, 33), torch.float32), random(2, 4, 33).float()
        mask = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 1]])
        reference = (rows(student, teacher) * mask).sum() / mask.sum()
        for kind in (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64):
            self.check(loss(student, teacher, weights=mask.to(kind)), reference, student)
            self.check(loss(student, teacher, weights=mask.to(kind).flatten()), reference, student)
            self.check(loss(student, teacher, weights=mask.to(kind).t().contiguous().t()), reference, student)
        entropy = distill.torch.loss("cross_entropy{}")
        labels = torch.tensor([[3, 0, -100, 31], [7, -100, 2, 1]])
        expected = torch.nn.functional.cross_entropy(student.double().flatten(0, 1), labels.flatten())
        for kind in (torch.int8, torch.int16, torch.int32, torch.int64):
            self.check(entropy(student, labels=labels.to(kind)), expected, student)

    def test_strides_and_leading_dimensions_have_the_bits_of_compact_rows(self):
        plain, flat = random(6, 97).float(), random(6, 97).float()

        def run(z, w):
            student = z.detach().requires_grad_()
            of = loss(student, w)
            return of, gradient_of(of, student).reshape(6, 97)

        of_plain, gradient = run(plain, flat)

        def same(z, w):
            of, g = run(z, w)
            self.assertTrue(torch.equal(of, of_plain) and torch.equal(g, gradient))

        for leading in ((6,), (2, 3), (1, 6), (3, 1, 2), (1, 2, 1, 3, 1)):
            z, w = plain.view(*leading, 97), flat.view(*leading, 97)
            padded = torch.nn.functional.pad(z, (0, 7), value=float("nan"))[..., :97]
            sparse = torch.stack((w, torch.full_like(w, float("nan"))), -1)[..., 0]
            turned = z.movedim(-1, 0).contiguous().movedim(0, -1)
            for a, b in ((z, w), (padded, w), (z, sparse), (turned, sparse)):
                same(a, b)
        longer = torch.nn.functional.pad(plain.view(2, 3, 97), (0, 0, 0, 2), value=float("nan"))[:, :3]
        same(longer, flat.view(2, 3, 97))

    def test_value_and_gradient_without_autograd(self):
        for kind in (torch.float32, torch.float16):
            student, teacher = leaf(random(2, 3, 64), kind), random(2, 3, 64).to(kind)
            weights, counts = torch.tensor([[1.0, 0.0, 1.0], [0.5, 0.0, 1.0]]), {}
            of = loss(student, teacher, weights=weights)
            value, gradient = loss.value_and_gradient(student, teacher, weights=weights, counts=counts)
            self.assertEqual(torch.tensor(value, dtype=torch.float32).item(), of.item())
            self.assertEqual(loss.value(student, teacher, weights=weights), value)
            self.assertEqual((counts["active_rows"], counts["denominator"]), (4, 3.5))
            self.assertEqual(gradient.dtype, torch.float32)
            self.assertFalse(gradient.requires_grad)
            self.assertTrue(torch.equal(gradient.to(kind), gradient_of(of, student)))

    def test_half_keeps_what_only_the_loss_scale_lifts_into_its_range(self):
        student, teacher = leaf(random(256, 4096), torch.float16), random(256, 4096).half()
        reference = gradient_of(65536.0 * rows(student, teacher).mean(), student)
        scaled = gradient_of(65536.0 * loss(student, teacher), student)
        self.assertLessEqual(distance(scaled, reference), TOLERANCE[torch.float16])
        lost = (gradient_of(loss(student, teacher), student) == 0) & (reference != 0)
        self.assertGreater(lost.sum().item(), 1000)
        self.assertEqual((lost & (scaled == 0)).sum().item(), 0)

    def test_autocast_leaves_two_types(self):
        hidden, head, teacher = torch.randn(2, 5, 16), torch.nn.Linear(16, 300), random(2, 5, 300).float()
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(hidden)
            of = loss(logits, teacher)
        self.assertEqual(logits.dtype, torch.bfloat16)
        of.backward()
        found = head.weight.grad.clone()
        head.weight.grad = None
        rows(logits.detach(), teacher)
        with torch.autocast("cpu", torch.bfloat16):
            again = head(hidden)
        rows(again, teacher).mean().backward()
        self.assertLessEqual(abs(of.item() - rows(again, teacher).mean().item()), 1e-5 * of.item())
        self.assertLessEqual(distance(found, head.weight.grad), TOLERANCE[torch.bfloat16])


class Refusals(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(2)
        self.student, self.teacher = torch.randn(2, 3, 20, requires_grad=True), torch.randn(2, 3, 20)

    def refused(self, call):
        with self.assertRaises((ValueError, RuntimeError)) as found:
            call()
        return str(found.exception)

    def test_backward_runs_twice_with_retain_graph(self):
        of, expected = loss(self.student, self.teacher), gradient_of(loss(self.student, self.teacher), self.student)
        (2 * of).backward(retain_graph=True)
        of.backward(retain_graph=True)
        of.backward()
        torch.testing.assert_close(self.student.grad, 4 * expected)
        self.refused(of.backward)

    def test_a_second_derivative(self):
        for of in (loss(self.student, self.teacher), loss.per_token(self.student, self.teacher).sum()):
            self.assertEqual(self.refused(lambda of=of: torch.autograd.grad(of, self.student, create_graph=True)),
                             "distill: a loss is differentiated once, and its gradient is a constant: call backward without create_graph")

    def test_a_teacher_or_a_field_that_asks_for_a_gradient(self):
        teacher, weights = self.teacher.clone().requires_grad_(), torch.rand(2, 3, requires_grad=True)
        asks = " asks for a gradient, and a loss gives one to batch.student alone: detach it"
        for call in (loss, loss.per_token):
            self.assertEqual(self.refused(lambda call=call: call(self.student, teacher)), "distill: batch.teacher" + asks)
            self.assertEqual(self.refused(lambda call=call: call(self.student, self.teacher, weights=weights)),
                             "distill: batch.weights" + asks)
        loss(self.student, teacher.detach())
        with torch.no_grad():
            self.assertFalse(loss(self.student, teacher).requires_grad)

    def test_shapes_types_devices_and_layouts(self):
        def of(teacher, **fields):
            return self.refused(lambda: loss(self.student, teacher, **fields))

        self.assertEqual(of(torch.randn(2, 3, 21)), "distill: batch.teacher has the shape [2, 3, 21], batch.student has [2, 3, 20]")
        self.assertEqual(of(torch.randn(6, 20)), "distill: batch.teacher has the shape [6, 20], batch.student has [2, 3, 20]")
        self.assertEqual(of(None), "distill: reverse_kl needs batch.teacher, which is empty")
        self.assertEqual(of(torch.randn(2, 3, 20).half()),
                         "distill: batch.teacher has elements of type float16, expected float32, for batch.student has float32")
        self.assertEqual(of(torch.ones(2, 3, 20, dtype=torch.int64)),
                         "distill: batch.teacher has elements of type int64, expected float32, float64, float16 or bfloat16")
        self.assertEqual(of(torch.empty(2, 3, 20, device="meta")),
                         "distill: batch.teacher is on meta, expected memory that the processor reads")
        self.assertTrue(of(torch.randn(2, 3, 20).to_sparse()).startswith("distill: batch.teacher has elements of type float32 of a layout"))
        self.assertEqual(of([1.0]), "distill: batch.teacher is a list, expected a tensor")
        self.assertEqual(of(self.teacher, weights=torch.ones(3, 2)),
                         "distill: batch.weights has the shape [3, 2], expected [2, 3] or [6]")
        self.assertEqual(of(self.teacher, labels=torch.ones(2, 3)),
                         "distill: batch.labels has elements of type float32, expected int32 or int64")
        self.assertTrue(of(self.teacher, mask=torch.ones(2, 3)).startswith("distill: a batch has no field mask; it has weights, "))


class Training(unittest.TestCase):
    def train(self, of):
        torch.manual_seed(3)
        teacher = torch.nn.Sequential(torch.nn.Embedding(211, 16), torch.nn.Linear(16, 211, bias=False)).requires_grad_(False)
        student = torch.nn.Sequential(torch.nn.Embedding(211, 16), torch.nn.Linear(16, 211, bias=False))
        for model in (teacher, student):
            torch.nn.init.normal_(model[1].weight, std=0.5)
        optimizer, losses = torch.optim.SGD(student.parameters(), lr=30.0), []
        for _ in range(50):
            tokens = torch.randint(211, (8, 16))
            optimizer.zero_grad()
            value = of(student(tokens), teacher(tokens))
            value.backward()
            optimizer.step()
            losses.append(value.item())
        return losses, [parameter.detach() for parameter in student.parameters()]

    def test_the_loss_falls_as_with_pytorchs_own_autograd(self):
        ours, _ = self.train(loss)
        theirs, _ = self.train(lambda z, w: rows(z, w).mean())
        self.assertGreater(ours[0], 2.0)
        self.assertLess(ours[-1], 0.9)
        for a, b in zip(ours, theirs):
            self.assertLessEqual(abs(a - b), 1e-3 * b)

    def test_one_thread_and_two_have_the_same_bits(self):
        before, results = torch.get_num_threads(), []
        z, w = torch.randn(64, 1000, requires_grad=True), torch.randn(64, 1000)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            of = loss(z, w)
            results.append((self.train(loss), of, gradient_of(of, z)))
        torch.set_num_threads(before)
        (((losses, parameters), of, g), ((others, of_others), other, h)) = results
        self.assertEqual(losses, others)
        self.assertTrue(all(torch.equal(a, b) for a, b in zip(parameters, of_others)))
        self.assertTrue(torch.equal(of, other) and torch.equal(g, h))


if __name__ == "__main__":
    unittest.main()
