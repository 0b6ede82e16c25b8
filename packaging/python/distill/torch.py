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


class linear_loss:
    """A loss of logits that never exist as a whole: of hidden states and the weight of a linear layer, [vocabulary, width], without a
    bias, a chunk of rows at a time. Its gradients with respect to hidden states and weight are computed with it.

        lin = distill.torch.linear_loss(loss, chunk=256)
        l = lin(student_hidden, student_weight, teacher_hidden, teacher_weight, weights=mask)

    The reduction of `loss` is token_mean{} or token_sum{}. Masked rows cost no product. The weight's gradient is summed in float32
    where the types are narrower.
    """

    def __init__(self, loss, chunk=256):
        if loss.objective.reduction not in ("token_mean{}", "token_sum{}"):
            raise InvalidInput(f"distill: the reduction of a linear_loss is {loss.objective.reduction}, expected token_mean{{}} or token_sum{{}}")
        if int(chunk) < 1:
            raise InvalidInput(f"distill: chunk is {chunk}, expected at least 1")
        self.chunk, self._mean = int(chunk), loss.objective.reduction == "token_mean{}"
        self._of_sum = loss.objective.reduced_by("token_sum{}")
        self._operator = _linear_operator_of(self._of_sum)

    def __call__(self, hidden, weight, teacher_hidden=None, teacher_weight=None, **fields):
        """The reduced loss, without dimensions, differentiable once with respect to `hidden` and `weight`."""
        for name in fields:
            if name not in FIELDS or name == "sequence_offsets":
                raise InvalidInput(f"distill: a linear_loss has no field {name}")
        _same_layer("hidden", hidden, "weight", weight)
        if (teacher_hidden is None) != (teacher_weight is None):
            raise InvalidInput("distill: teacher_hidden and teacher_weight are given together, or neither")
        if teacher_hidden is not None:
            _constant("teacher_hidden", teacher_hidden)
            _constant("teacher_weight", teacher_weight)
            _same_layer("teacher_hidden", teacher_hidden, "teacher_weight", teacher_weight)
            if teacher_hidden.shape[:-1] != hidden.shape[:-1] or teacher_weight.shape[0] != weight.shape[0]:
                raise InvalidInput(f"distill: the teacher has rows {list(teacher_hidden.shape[:-1])} and a vocabulary of "
                                   f"{teacher_weight.shape[0]}, the student {list(hidden.shape[:-1])} and {weight.shape[0]}")
        refuse_types(_name(weight.dtype), _name(weight.dtype if teacher_weight is None else teacher_weight.dtype))
        leading, rows = hidden.shape[:-1], hidden.shape[:-1].numel()
        flat = []
        for name in FIELDS:
            of = fields.get(name)
            if of is not None:
                of = _number(name, of)
                per_token = name in ("top_tokens", "top_log_probs")
                own = of.shape[:-1] if per_token else of.shape
                if own not in (leading, (rows,)):
                    raise InvalidInput(f"distill: batch.{name} has the shape {list(of.shape)}, expected {list(leading)} or {[rows]}")
                of = of.reshape(rows, -1) if per_token else of.reshape(rows)
            flat.append(of)
        return self._operator(hidden, weight, teacher_hidden, teacher_weight, flat, self.chunk, self._mean, hidden.requires_grad,
                              weight.requires_grad)[0]


def _same_layer(name, hidden, of_weight, weight):
    for called, of in ((name, hidden), (of_weight, weight)):
        _readable(called, of)
    if weight.dim() != 2 or hidden.dim() < 2 or hidden.shape[-1] != weight.shape[1]:
        raise InvalidInput(f"distill: {name} has the shape {list(hidden.shape)} and {of_weight} {list(weight.shape)}, expected [..., width] "
                           "and [vocabulary, width]")
    if hidden.dtype != weight.dtype:
        raise InvalidInput(f"distill: {name} has elements of type {_name(hidden.dtype)}, {of_weight} of {_name(weight.dtype)}")


def _wide(of):
    """The type in which a gradient is summed and kept."""
    return torch.float64 if of.dtype == torch.float64 else torch.float32


def _active(rows, fields):
    """Every row's weight, 0 where it is masked."""
    named = dict(zip(FIELDS, fields))
    weights = torch.ones(rows, dtype=torch.float64) if named["weights"] is None else named["weights"].double()
    return weights if named["labels"] is None else torch.where(named["labels"] == -100, 0.0, weights)


def _compute_linear(objective, hidden, weight, teacher_hidden, teacher_weight, fields, chunk, mean, of_hidden, of_weight):
    h = hidden.reshape(-1, hidden.shape[-1])
    t = None if teacher_hidden is None else teacher_hidden.reshape(-1, teacher_hidden.shape[-1])
    weights = _active(h.shape[0], fields)
    active = weights.ne(0).nonzero().flatten()  # NaN is one, and is refused
    grad_hidden = torch.zeros(h.shape if of_hidden else (0,), dtype=_wide(hidden))
    grad_weight = torch.zeros(weight.shape if of_weight else (0,), dtype=_wide(weight))
    value = 0.0
    for rows in active.split(chunk):
        student = h.index_select(0, rows)
        logits, of_teacher = student @ weight.t(), None if t is None else t.index_select(0, rows) @ teacher_weight.t()
        own = [None if field is None else field.index_select(0, rows) for field in fields]
        _, gradient, call = _compute(objective, False, of_hidden or of_weight, logits, of_teacher, own)
        value += call.value
        if of_hidden:
            grad_hidden.index_copy_(0, rows, (gradient.to(weight.dtype) @ weight).to(grad_hidden.dtype))
        if of_weight:
            grad_weight.addmm_(gradient.to(grad_weight.dtype).t(), student.to(grad_weight.dtype))
    if mean and active.numel() > 0:
        denominator = weights.sum().item()
        value /= denominator
        grad_hidden.div_(denominator)
        grad_weight.div_(denominator)
    return (torch.tensor(value, dtype=_wide(hidden)), grad_hidden.reshape(hidden.shape) if of_hidden else grad_hidden, grad_weight)


def _linear_setup(ctx, inputs, output):
    ctx.mark_non_differentiable(output[1], output[2])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], output[2])
    ctx.types, ctx.wanted = (inputs[0].dtype, inputs[1].dtype), inputs[7:9]


def _linear_backward(ctx, of_loss, *_):
    if torch.is_grad_enabled():
        raise RuntimeError(_ONCE)
    found = [None if of_loss is None or not wanted else (gradient * of_loss).to(kind)
             for gradient, kind, wanted in zip(ctx.saved_tensors, ctx.types, ctx.wanted)]
    return (*found, *(None,) * 7)


def _linear_operator(objective):
    digest = hashlib.sha256(objective.source("", "", False).encode()).hexdigest()[:16]

    def run(hidden: torch.Tensor, weight: torch.Tensor, teacher_hidden: Optional[torch.Tensor], teacher_weight: Optional[torch.Tensor],
            fields: List[Optional[torch.Tensor]], chunk: int, mean: bool, of_hidden: bool,
            of_weight: bool) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", enabled=False):
            return _compute_linear(objective, hidden, weight, teacher_hidden, teacher_weight, fields, chunk, mean, of_hidden, of_weight)

    operator = torch.library.custom_op(f"distill::linear_{digest}", run, mutates_args=(), device_types="cpu")

    @operator.register_fake
    def _(hidden, weight, teacher_hidden, teacher_weight, fields, chunk, mean, of_hidden, of_weight):
        return (hidden.new_empty((), dtype=_wide(hidden)), hidden.new_empty(hidden.shape if of_hidden else (0,), dtype=_wide(hidden)),
                weight.new_empty(weight.shape if of_weight else (0,), dtype=_wide(weight)))

    operator.register_autograd(_linear_backward, setup_context=_linear_setup)
    return operator


_linear_operators = {}


def _linear_operator_of(objective):
    key = objective.source("", "", False)
    if key not in _linear_operators:
        _linear_operators[key] = _linear_operator(objective)
    return _linear_operators[key]
