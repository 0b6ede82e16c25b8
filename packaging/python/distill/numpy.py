"""Losses of NumPy arrays, and of anything that DLPack exchanges on the processor.

    loss = distill.numpy.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")
    value, gradient = loss(student_logits, teacher_logits, weights=mask)
"""

import ctypes

import numpy

from . import InvalidInput
from .objective import COUNTS, FIELDS, INTEGER_FIELDS, LOGITS, Objective, Tensor

_CODES = {"float64": (2, 64), "float32": (2, 32), "float16": (2, 16), "bfloat16": (4, 16), "int64": (0, 64), "int32": (0, 32)}


def _array(name, values):
    if isinstance(values, numpy.ndarray):
        return values
    if hasattr(values, "__dlpack__"):
        try:
            return numpy.from_dlpack(values)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise InvalidInput(f"distill: {name} cannot be read through DLPack: {error}") from error
    return numpy.asarray(values)


def _native(name, array):
    if not array.dtype.isnative:
        raise InvalidInput(f"distill: {name} has the byte order of another machine: convert it with astype")
    return array


def _is_rows(array):
    """Rows of contiguous entries that are one stride apart, as the library reads them."""
    size, expected = array.itemsize, None
    if array.ndim == 0 or array.size == 0:
        return True
    if array.shape[-1] > 1 and array.strides[-1] != size:
        return False
    for length, stride in zip(array.shape[-2::-1], array.strides[-2::-1]):
        if length == 1:
            continue
        if stride <= 0 or stride % size or (expected is None and stride < array.shape[-1] * size):
            return False
        if expected is not None and stride != expected:
            return False
        expected = stride * length
    return True


def _logits(name, values):
    array = _native(name, _array(name, values))
    if array.dtype.name not in LOGITS:
        raise InvalidInput(f"distill: {name} has elements of type {array.dtype.name}, expected {', '.join(LOGITS[:-1])} or {LOGITS[-1]}")
    return array if _is_rows(array) and array.flags.aligned else numpy.ascontiguousarray(array)


def _numbers(name, values):
    """An array of one number per row, in a type that the library reads. A mask of bool is one of numbers."""
    array, integers = _native(f"batch.{name}", _array(f"batch.{name}", values)), name in INTEGER_FIELDS
    kind, wide = array.dtype.kind, array.dtype.itemsize > 4
    if integers and kind in "iu" and array.dtype.name not in _CODES:
        array = array.astype(numpy.int64)
    elif not integers and (kind in "iub" or array.dtype.name in ("float16", "bfloat16")):
        array = array.astype(numpy.float64 if kind in "iu" and wide else numpy.float32)
    return numpy.require(array, requirements=["C", "A"])


def _tensor(array):
    """The array as the library sees it. It has to outlive the tensor."""
    code, bits = _CODES.get(array.dtype.name, (255, 8 * array.itemsize))
    axes = ctypes.c_int64 * array.ndim
    return Tensor(data=array.ctypes.data, device_type=1, device_id=0, ndim=array.ndim, code=code, bits=bits, lanes=1,
                  shape=axes(*array.shape), strides=axes(*(stride // array.itemsize for stride in array.strides)), byte_offset=0)


class loss:
    """A loss of arrays [rows, vocabulary], [batch, time, vocabulary] or with more leading axes.

    objective     an expression of C++, as docs/objectives.md has them
    reduction     token_mean{}, token_sum{}, sequence_mean{}, normalized_by{n}, ...
    temperature   of both softmaxes, or a pair (student, teacher)
    soft_cap      of logits whose cap is not applied yet
    definitions   C++ that comes first: a divergence of your own
    threads       of OpenMP, for every call; the results are the same bits for any number

    Element types are float64, float32, float16 and ml_dtypes' bfloat16; the teacher's is the student's or float32. Arrays whose rows
    are not one stride apart are copied, and no array that is given is written. `distill.InvalidInput` says what is wrong with a call.
    """

    def __init__(self, objective, reduction="token_mean{}", temperature=1.0, soft_cap=None, definitions="", threads=1):
        self.objective = Objective(objective, reduction, temperature, soft_cap, definitions)
        self.threads = int(threads)

    def __call__(self, student, teacher=None, counts=None, **fields):
        """(value, gradient): the loss, and its derivative with respect to the student's logits, in their type; of float16 in
        float32. A dictionary `counts` receives denominator, active_rows and their like."""
        return self._run(student, teacher, fields, counts, per_row=False, differentiates=True)

    def value(self, student, teacher=None, counts=None, **fields):
        """The loss alone."""
        return self._run(student, teacher, fields, counts, per_row=False, differentiates=False)[0]

    def per_token(self, student, teacher=None, **fields):
        """(losses, gradient): every row's own loss, before weights and reduction, and its gradient. A weight of 0 masks its row."""
        if "weights" in fields:
            weights = _numbers("weights", fields["weights"])
            if weights.dtype.kind == "f":
                fields["weights"] = numpy.where((weights > 0) & numpy.isfinite(weights), numpy.ones_like(weights), weights)
        return self._run(student, teacher, fields, None, per_row=True, differentiates=True)

    def _run(self, student, teacher, fields, counts, per_row, differentiates):
        if unknown := [name for name in fields if name not in FIELDS]:
            raise InvalidInput(f"distill: a batch has no field {unknown[0]}; it has {', '.join(FIELDS)}")
        arrays = {"student": _logits("batch.student", student)}
        z = arrays["student"]
        if teacher is not None:
            arrays["teacher"] = _logits("batch.teacher", teacher)
        arrays.update((name, _numbers(name, values)) for name, values in fields.items() if values is not None)
        if differentiates:
            arrays["gradient"] = numpy.empty(z.shape, numpy.float32 if z.dtype.name == "float16" else z.dtype)
        if per_row:
            arrays["row_losses"] = numpy.empty(z.shape[:-1], numpy.float64 if z.dtype.name == "float64" else numpy.float32)
        tensors = {name: _tensor(array) for name, array in arrays.items()}
        of_teacher = arrays["teacher"].dtype.name if teacher is not None else z.dtype.name
        if of_teacher not in (z.dtype.name, "float32"):
            raise InvalidInput(f"distill: batch.teacher has elements of type {of_teacher}, expected {z.dtype.name}"
                               f"{'' if z.dtype.name == 'float32' else ' or float32'}, for batch.student has {z.dtype.name}")
        call = self.objective.run(tensors, z.dtype.name, of_teacher, per_row, self.threads)
        if counts is not None:
            counts.update((name, getattr(call, name)) for name in COUNTS)
        return arrays["row_losses"] if per_row else call.value, arrays.get("gradient")
