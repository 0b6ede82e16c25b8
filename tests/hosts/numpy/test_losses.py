"""Losses and gradients of arrays against NumPy's own expressions."""

import threading
import time
import unittest

import ml_dtypes
import numpy as np

import distill
import distill.numpy
from formulas import OBJECTIVE, mean, rows_and_gradients

PAIRS = [("float64", "float64"), ("float64", "float32"), ("float32", "float32"), ("float16", "float16"), ("float16", "float32"),
         ("bfloat16", "bfloat16"), ("bfloat16", "float32")]
# The contract's, as tests/support/tolerances.hpp has them; of a 16-bit gradient its one rounding.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-5, "bfloat16": 2.0**-8}
LOSS_TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-5, "bfloat16": 1e-5}

loss = distill.numpy.loss(OBJECTIVE)


def random(seed, *shape):
    return 2 * np.random.default_rng(seed).standard_normal(shape)


def typed(values, name):
    return values.astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def distance(found, expected):
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return np.sqrt(((found - expected) ** 2).sum() / (expected**2).sum())


class Agreement(unittest.TestCase):
    def test_every_pair_of_element_types(self):
        for student, teacher in PAIRS:
            with self.subTest(student=student, teacher=teacher):
                z, w = typed(random(1, 2, 3, 1001), student), typed(random(2, 2, 3, 1001), teacher)
                before = z.copy()
                value, gradient = loss(z, w)
                expected, expected_gradient = mean(z, w)
                self.assertLessEqual(abs(value - expected), LOSS_TOLERANCE[student] * abs(expected))
                self.assertLessEqual(distance(gradient, expected_gradient), TOLERANCE[student])
                self.assertEqual(gradient.dtype.name, "float32" if student == "float16" else student)
                self.assertEqual(gradient.shape, z.shape)
                self.assertTrue((z == before).all())

    def test_losses_of_rows(self):
        for student in ("float64", "float32"):
            z, w = random(3, 2, 4, 50).astype(student), random(4, 2, 4, 50).astype(student)
            weights = np.array([[1, 0, 0.5, 3], [1, 1, 0, 1]])
            losses, gradients = loss.per_token(z, w, weights=weights)
            rows, expected = rows_and_gradients(z, w)
            self.assertEqual(losses.shape, (2, 4))
            self.assertEqual(losses.dtype.name, student)
            self.assertLessEqual(distance(losses, rows * (weights > 0)), LOSS_TOLERANCE[student])
            self.assertLessEqual(distance(gradients, expected * (weights > 0)[..., None]), TOLERANCE[student])
        with self.assertRaisesRegex(distill.InvalidInput, r"^distill: batch.weights\[0\] is -1, "):
            loss.per_token(z, w, weights=-np.ones((2, 4)))

    def test_weights_of_any_type_and_shape(self):
        z, w, mask = random(5, 2, 4, 50), random(6, 2, 4, 50), np.array([[1, 0, 1, 1], [0, 1, 1, 0]])
        expected, expected_gradient = mean(z, w, mask)
        for kind in (bool, np.int8, np.uint16, np.int32, np.int64, np.float16, np.float32, np.float64, ml_dtypes.bfloat16):
            for weights in (mask.astype(kind), mask.astype(kind).ravel(), np.asfortranarray(mask.astype(kind)), mask.astype(kind).tolist()):
                counts = {}
                value, gradient = loss(z, w, weights=weights, counts=counts)
                self.assertAlmostEqual(value, expected, 12)
                self.assertLessEqual(distance(gradient, expected_gradient), 1e-12)
                self.assertEqual((counts["active_rows"], counts["denominator"]), (5, 5.0))

    def test_options(self):
        z, w, labels = random(7, 6, 40), random(8, 6, 40), np.array([3, 39, -100, 0, 7, 7], np.int16)
        scaled = distill.numpy.loss(OBJECTIVE, temperature=2.0)
        self.assertAlmostEqual(scaled.value(z, w), mean(z / 2, w / 2)[0], 12)
        both = distill.numpy.loss(OBJECTIVE, temperature=(2.0, 0.5), reduction="token_sum{}")
        self.assertAlmostEqual(both.value(z, w), 6 * mean(z / 2, w / 0.5)[0], 11)
        capped = distill.numpy.loss(OBJECTIVE, soft_cap=3.0)
        self.assertAlmostEqual(capped.value(z, w), mean(3 * np.tanh(z / 3), 3 * np.tanh(w / 3))[0], 12)
        from formulas import log_softmax
        entropy = distill.numpy.loss("cross_entropy{}")
        rows = [row for row in range(6) if labels[row] >= 0]
        self.assertAlmostEqual(entropy.value(z, labels=labels), -np.mean([log_softmax(z)[row, labels[row]] for row in rows]), 12)

    def test_bits_of_one_thread_and_of_three(self):
        z, w = random(9, 50, 999).astype("f"), random(10, 50, 999).astype("f")
        value, gradient = loss(z, w)
        other, of_three = distill.numpy.loss(OBJECTIVE, threads=3)(z, w)
        self.assertEqual(value, other)
        self.assertTrue((gradient == of_three).all())


class Layouts(unittest.TestCase):
    def test_strides_and_leading_axes_have_the_bits_of_compact_rows(self):
        z, w = random(11, 6, 32).astype("f"), random(12, 6, 32).astype("f")
        value, gradient = loss(z, w)

        def check(z, w):
            other, of_other = loss(z, w)
            self.assertEqual(other, value)
            self.assertTrue((of_other.reshape(6, 32) == gradient).all())

        for shape in ((6,), (2, 3), (1, 6), (3, 1, 2), (1, 2, 1, 3, 1)):
            a, b = z.reshape(*shape, 32), w.reshape(*shape, 32)
            padded = np.full((*shape, 40), np.nan, "f")
            padded[..., :32] = a
            sparse = np.repeat(b, 2, axis=-1)
            sparse[..., 1::2] = np.nan
            check(a, b)
            check(padded[..., :32], b)
            check(a, sparse[..., ::2])
            check(np.asfortranarray(a), np.asfortranarray(b))
            check(a[::-1][::-1], b)
        longer = np.full((2, 5, 32), np.nan, "f")
        longer[:, :3] = z.reshape(2, 3, 32)
        check(longer[:, :3], w.reshape(2, 3, 32))
        reversed_rows, _ = loss(z[::-1], w[::-1])
        self.assertAlmostEqual(reversed_rows, value, 6)
        row = np.broadcast_to(w[:1], (6, 32))
        self.assertEqual(loss.value(z, row), loss.value(z, row.copy()))

    def test_what_dlpack_exchanges_is_read_where_it_is(self):
        class exporter:
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **options):
                return self.array.__dlpack__(**options)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        z, w = random(13, 4, 20), random(14, 4, 20)
        self.assertEqual(loss.value(exporter(z), exporter(w), weights=exporter(np.ones(4))), loss.value(z, w))

        class refuses(exporter):
            def __dlpack__(self, **options):
                raise BufferError("it needs a gradient")

        with self.assertRaisesRegex(distill.InvalidInput, "^distill: batch.teacher cannot be read through DLPack: it needs a gradient"):
            loss(z, refuses(w))

    def test_arrays_that_nobody_may_write(self):
        z, w = random(15, 4, 20), random(16, 4, 20)
        z.flags.writeable = w.flags.writeable = False
        self.assertAlmostEqual(loss(z, w)[0], mean(z, w)[0], 12)


class Refusals(unittest.TestCase):
    def refused(self, *arguments, **fields):
        with self.assertRaises(distill.InvalidInput) as found:
            loss(*arguments, **fields)
        self.assertIsInstance(found.exception, ValueError)
        return str(found.exception)

    def test_each_with_a_sentence(self):
        z, w = random(17, 2, 3, 20), random(18, 2, 3, 20)
        self.assertEqual(self.refused(z, w[..., :19]), "distill: batch.teacher has the shape [2, 3, 19], batch.student has [2, 3, 20]")
        self.assertEqual(self.refused(z, w.reshape(6, 20)), "distill: batch.teacher has the shape [6, 20], batch.student has [2, 3, 20]")
        self.assertEqual(self.refused(z[0, 0], w[0, 0]),
                         "distill: batch.student has 1 dimensions, expected 2 to 8, the last one the vocabulary")
        self.assertEqual(self.refused(z), "distill: reverse_kl needs batch.teacher, which is empty")
        self.assertEqual(self.refused(z, w, weights=np.ones((3, 2))),
                         "distill: batch.weights has the shape [3, 2], expected [2, 3] or [6]")
        self.assertEqual(self.refused(z, w, labels=np.ones((2, 3))),
                         "distill: batch.labels has elements of type float64, expected int32 or int64")
        self.assertEqual(self.refused(z.astype("f"), w),
                         "distill: batch.teacher has elements of type float64, expected float32, for batch.student has float32")
        self.assertEqual(self.refused(z.astype(int), w),
                         "distill: batch.student has elements of type int64, expected float32, float64, float16 or bfloat16")
        self.assertEqual(self.refused(z.astype(">f8"), w),
                         "distill: batch.student has the byte order of another machine: convert it with astype")
        self.assertTrue(self.refused(z, w, mask=np.ones((2, 3))).startswith("distill: a batch has no field mask; it has weights, "))
        self.assertEqual(self.refused(z, w, weights=np.ones((2, 3), complex)),
                         "distill: batch.weights has elements of type code 255 of bits 0, expected float32 or float64")
        with self.assertRaisesRegex(distill.InvalidInput, "^distill: temperature is 'hot', expected a number"):
            distill.numpy.loss(OBJECTIVE, temperature="hot")
        with self.assertRaisesRegex(distill.InvalidInput, "^distill: temperature is 0, expected"):
            distill.numpy.loss(OBJECTIVE, temperature=0).value(z, w)

    def test_the_interpreter_runs_on_meanwhile(self):
        z = random(19, 32, 100000).astype("f")
        loss(z[:1], z[:1])
        running, ticks = threading.Event(), []

        def tick():
            running.set()
            while running.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.0005)

        thread = threading.Thread(target=tick)
        thread.start()
        running.wait()
        begin = time.monotonic()
        for _ in range(5):
            loss(z, z)
        end = time.monotonic()
        running.clear()
        thread.join()
        # Between the five calls there are four gaps, in which the thread may run in any case.
        self.assertGreater(sum(begin < t < end for t in ticks), 10)


if __name__ == "__main__":
    unittest.main()
