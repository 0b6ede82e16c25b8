"""Losses of PyTorch's tensors, as operators of its autograd.

    loss = distill.torch.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")
    l = loss(student_logits, teacher_logits, weights=mask)
    (0.5 * l + ce).backward()
"""

import ctypes
import functools
import hashlib
import os
from typing import List, Optional, Tuple

import torch

from . import InvalidInput
from .objective import COUNTS, FIELDS, INTEGER_FIELDS, Objective, is_rows, refuse_types, tensor

# Of so few logits the calling thread takes care alone, as PyTorch has it with its own loops.
_GRAIN = 32768

_KEPT_BACK = "a loss gives one to batch.student alone: detach it"
_ONCE = "distill: a loss is differentiated once, and its gradient is a constant: call backward without create_graph"


@functools.lru_cache(maxsize=None)
def _loop():
    """The address of PyTorch's own parallel loop: its threads, as many as torch.set_num_threads says. Part of its stable interface
    in C from 2.10 on; before that, OpenMP's threads do the work, of the library that PyTorch itself runs on."""
    library = os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so")
    try:
        return ctypes.cast(ctypes.CDLL(library).torch_parallel_for, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


def _name(kind):
    return str(kind).removeprefix("torch.")


def _loss_type(student):
    return torch.float64 if student.dtype == torch.float64 else torch.float32


def _gradient_type(student):
    """A gradient of half is kept in float32: a loss scale comes before its rounding."""
    return torch.float32 if student.dtype == torch.float16 else student.dtype


def _rows(logits):
    logits = logits.resolve_neg()
    return logits if is_rows(logits.shape, logits.stride()) else logits.contiguous()


def _tensor(of):
    return tensor(of.data_ptr(), _name(of.dtype), of.shape, of.stride())


def _compute(objective, per_row, differentiates, student, teacher, fields):
    """(losses, gradient, Call) of tensors on the processor."""
    tensors = {"student": _rows(student)}
    if teacher is not None:
        tensors["teacher"] = _rows(teacher)
    tensors.update((name, field.resolve_neg().contiguous()) for name, field in zip(FIELDS, fields) if field is not None)
    if differentiates:
        tensors["gradient"] = torch.empty(student.shape, dtype=_gradient_type(student))
    if per_row:
        tensors["row_losses"] = torch.empty(student.shape[:-1], dtype=_loss_type(student))
    of_teacher = student if teacher is None else teacher
    alone = student.numel() <= _GRAIN
    call = objective.run({name: _tensor(of) for name, of in tensors.items()}, _name(student.dtype), _name(of_teacher.dtype), per_row,
                         1 if alone else torch.get_num_threads(), None if alone else _loop())
    losses = tensors["row_losses"] if per_row else torch.tensor(call.value, dtype=_loss_type(student))
    return losses, tensors.get("gradient"), call


def _setup(ctx, inputs, output):
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1])
    ctx.type = inputs[0].dtype


def _backward(ctx, of_losses, _):
    if torch.is_grad_enabled():
        raise RuntimeError(_ONCE)
    nothing = (None,) * (2 + len(FIELDS))
    if of_losses is None:
        return nothing
    (gradient,) = ctx.saved_tensors
    # Never in place: a second backward reads the gradient again. A tensor that is traced is not looked at.
    if of_losses.dim() > 0:
        gradient = gradient * of_losses.unsqueeze(-1)
    elif type(of_losses) is not torch.Tensor or of_losses.item() != 1.0:
        gradient = gradient * of_losses
    return (gradient.to(ctx.type), *nothing[1:])


def _operator(objective, per_row):
    """distill::loss_... and distill::rows_...: an objective's operators, named after what it is made of."""
    digest = hashlib.sha256(objective.source("", "", per_row).encode()).hexdigest()[:16]

    # A field is a parameter of its own: an operator has a schema.
    def run(student: torch.Tensor, teacher: Optional[torch.Tensor], weights: Optional[torch.Tensor], tokens: Optional[torch.Tensor],
            teacher_tokens: Optional[torch.Tensor], labels: Optional[torch.Tensor], old_log_probs: Optional[torch.Tensor],
            teacher_log_probs: Optional[torch.Tensor], advantages: Optional[torch.Tensor], sequence_offsets: Optional[torch.Tensor],
            temperatures: Optional[torch.Tensor], coefficients: Optional[torch.Tensor], top_tokens: Optional[torch.Tensor],
            top_log_probs: Optional[torch.Tensor],
            sequence_log_ratios: Optional[torch.Tensor]) -> Tuple[torch.Tensor, torch.Tensor]:
        fields = (weights, tokens, teacher_tokens, labels, old_log_probs, teacher_log_probs, advantages, sequence_offsets, temperatures,
                  coefficients, top_tokens, top_log_probs, sequence_log_ratios)
        return _compute(objective, per_row, True, student, teacher, fields)[:2]

    operator = torch.library.custom_op(f"distill::{'rows' if per_row else 'loss'}_{digest}", run, mutates_args=(), device_types="cpu")

    @operator.register_fake
    def _(student, *_):
        shape = student.shape[:-1] if per_row else ()
        return (student.new_empty(shape, dtype=_loss_type(student)),
                torch.empty(student.shape, dtype=_gradient_type(student), device=student.device))

    operator.register_autograd(_backward, setup_context=_setup)
    return operator


def _constant(name, of):
    if _readable(name, of).requires_grad and torch.is_grad_enabled():
        raise InvalidInput(f"distill: {name} asks for a gradient, and {_KEPT_BACK}")
    return of


def _readable(name, of):
    if not isinstance(of, torch.Tensor):
        raise InvalidInput(f"distill: {name} is a {type(of).__name__}, expected a tensor")
    if of.device.type != "cpu":
        raise InvalidInput(f"distill: {name} is on {of.device}, expected memory that the processor reads")
    if of.layout != torch.strided:
        raise InvalidInput(f"distill: {name} has elements of type {_name(of.dtype)} of a layout without strides")
    return of


def _number(name, of):
    """A tensor of one number per row, in a type that the library reads. A mask of bool is one of numbers."""
    _constant(f"batch.{name}", of)
    if name in INTEGER_FIELDS:
        return of.to(torch.int64) if of.dtype in (torch.uint8, torch.int8, torch.int16) else of
    if of.dtype == torch.int64:
        return of.to(torch.float64)
    return of.to(torch.float32) if not (of.is_floating_point() or of.is_complex()) or of.itemsize == 2 else of


class loss:
    """A loss of logits [rows, vocabulary], [batch, time, vocabulary] or with more leading dimensions, on the processor.

    objective     an expression of C++, as docs/objectives.md has them
    reduction     token_mean{}, token_sum{}, sequence_mean{}, normalized_by{n}, ...
    temperature   of both softmaxes, or a pair (student, teacher)
    soft_cap      of logits whose cap is not applied yet
    definitions   C++ that comes first: a divergence of your own

    Element types are float64, float32, float16 and bfloat16; the teacher's is the student's or float32, whatever autocast made of either.
    PyTorch's own threads compute. Logits whose rows are not one stride apart are copied, and none is written.
    """

    def __init__(self, objective, reduction="token_mean{}", temperature=1.0, soft_cap=None, definitions=""):
        self.objective = Objective(objective, reduction, temperature, soft_cap, definitions)
        self._operators = {per_row: _operator_of(self.objective, per_row) for per_row in (False, True)}

    def __call__(self, student, teacher=None, **fields):
        """The reduced loss, without dimensions, differentiable with respect to the student's logits, once."""
        return self._operators[False](*self._arguments(student, teacher, fields))[0]

    def per_token(self, student, teacher=None, **fields):
        """Every row's own loss, before weights and reduction, differentiable row by row. A weight of 0 masks its row."""
        arguments = self._arguments(student, teacher, fields)
        if (weights := arguments[2]) is not None:
            arguments[2] = torch.where((weights > 0) & torch.isfinite(weights), torch.ones_like(weights), weights)
        return self._operators[True](*arguments)[0]

    def value_and_gradient(self, student, teacher=None, counts=None, **fields):
        """(value, gradient) without autograd: a number and a tensor of the student's type, of float16 in float32. A dictionary
        `counts` receives denominator, active_rows and their like."""
        with torch.no_grad():
            student, teacher, *rest = self._arguments(student, teacher, fields)
            _, gradient, call = _compute(self.objective, False, True, student, teacher, rest)
        if counts is not None:
            counts.update((name, getattr(call, name)) for name in COUNTS)
        return call.value, gradient

    def value(self, student, teacher=None, counts=None, **fields):
        """The value alone, a number: no gradient is computed."""
        with torch.no_grad():
            student, teacher, *rest = self._arguments(student, teacher, fields)
            _, _, call = _compute(self.objective, False, False, student, teacher, rest)
        if counts is not None:
            counts.update((name, getattr(call, name)) for name in COUNTS)
        return call.value

    @staticmethod
    def _arguments(student, teacher, fields) -> List[Optional[torch.Tensor]]:
        for name in fields:
            if name not in FIELDS:
                raise InvalidInput(f"distill: a batch has no field {name}; it has {', '.join(FIELDS)}")
        _readable("batch.student", student)
        if teacher is not None:
            _constant("batch.teacher", teacher)
        refuse_types(_name(student.dtype), _name(student.dtype if teacher is None else teacher.dtype))
        given = (fields.get(name) for name in FIELDS)
        return [student, teacher, *(None if of is None else _number(name, of) for name, of in zip(FIELDS, given))]


_operators = {}


def _operator_of(objective, per_row):
    """One operator for losses that are made of the same."""
    key = (objective.source("", "", per_row), per_row)
    if key not in _operators:
        _operators[key] = _operator(objective, per_row)
    return _operators[key]
