"""Losses of NumPy arrays, and of anything that DLPack exchanges on the processor.

    loss = distill.numpy.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")
    value, gradient = loss(student_logits, teacher_logits, weights=mask)
"""

import numpy

from . import InvalidInput
from .objective import COUNTS, FIELDS, INTEGER_FIELDS, Objective, is_rows, refuse_types, tensor

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


def _strides(array):
    return [stride // array.itemsize for stride in array.strides]


def _logits(name, values):
    array = _native(name, _array(name, values))
    whole = array.flags.aligned and all(stride % array.itemsize == 0 for stride in array.strides)
    return array if whole and is_rows(array.shape, _strides(array)) else numpy.ascontiguousarray(array)


def _numbers(name, values):
    """An array of one number per row, in a type that the library reads. A mask of bool is one of numbers."""
    array, integers = _native(f"batch.{name}", _array(f"batch.{name}", values)), name in INTEGER_FIELDS
    kind, wide = array.dtype.kind, array.dtype.itemsize > 4
    if integers and kind in "iu" and array.dtype.name not in ("int32", "int64"):
        array = array.astype(numpy.int64)
    elif not integers and (kind in "iub" or array.dtype.name in ("float16", "bfloat16")):
        array = array.astype(numpy.float64 if kind in "iu" and wide else numpy.float32)
    return numpy.require(array, requirements=["C", "A"])


def _tensor(array):
    """The array as the library sees it. It has to outlive the tensor."""
    return tensor(array.ctypes.data, array.dtype.name, array.shape, _strides(array))


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
        if fields.get("weights") is not None:
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
        of_teacher = arrays["teacher"].dtype.name if teacher is not None else z.dtype.name
        refuse_types(z.dtype.name, of_teacher)
        arrays.update((name, _numbers(name, values)) for name, values in fields.items() if values is not None)
        if differentiates:
            arrays["gradient"] = numpy.empty(z.shape, numpy.float32 if z.dtype.name == "float16" else z.dtype)
        if per_row:
            arrays["row_losses"] = numpy.empty(z.shape[:-1], numpy.float64 if z.dtype.name == "float64" else numpy.float32)
        tensors = {name: _tensor(array) for name, array in arrays.items()}
        call = self.objective.run(tensors, z.dtype.name, of_teacher, per_row, self.threads)
        if counts is not None:
            counts.update((name, getattr(call, name)) for name in COUNTS)
        return arrays["row_losses"] if per_row else call.value, arrays.get("gradient")
