"""An objective as text, and the C function that it becomes."""

import ctypes

from . import InvalidInput, build

#: The element types of logits, and the pairs of student and teacher that there are.
LOGITS = ("float32", "float64", "float16", "bfloat16")
FIELDS = ("weights", "tokens", "teacher_tokens", "labels", "old_log_probs", "teacher_log_probs", "advantages", "sequence_offsets",
          "temperatures", "coefficients", "top_tokens", "top_log_probs", "sequence_log_ratios")
INTEGER_FIELDS = ("tokens", "teacher_tokens", "labels", "sequence_offsets", "top_tokens")


class Tensor(ctypes.Structure):
    """distill::c_tensor, which is DLPack's DLTensor."""
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Call(ctypes.Structure):
    """distill::c_call"""
    _fields_ = [("count", ctypes.c_int64), ("names", ctypes.POINTER(ctypes.c_char_p)),
                ("tensors", ctypes.POINTER(ctypes.POINTER(Tensor))), ("threads", ctypes.c_int64), ("parallel_for", ctypes.c_void_p),
                ("value", ctypes.c_double),
                ("denominator", ctypes.c_double), ("active_rows", ctypes.c_int64), ("nonfinite_rows", ctypes.c_int64),
                ("clipped_rows", ctypes.c_int64), ("guarded_rows", ctypes.c_int64), ("message", ctypes.c_char * 1024)]


#: What a call counts, beside its value.
COUNTS = ("denominator", "active_rows", "nonfinite_rows", "clipped_rows", "guarded_rows")

SOURCE = """\
#include <distill/distill.hpp>
#include <distill/backend/executor/openmp.hpp>
#include <distill/interop/c_call.hpp>
#include <Eigen/Core>
{definitions}
namespace {{
using namespace distill;
struct loops {{
    const c_call* call;
    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {{
        if (call->parallel_for != nullptr)
            c_threads{{call->parallel_for}}(count, body);
        else
            openmp{{static_cast<int>(call->threads)}}(count, body);
    }}
}};
auto loss_of(const c_call* call) {{
    return loss{{
#line 1 "objective"
{objective}
        , eigen{{loops{{call}}}},
#line 1 "reduction"
{reduction}
#line 1 "options"
        {options}
    }};
}}
}}
extern "C" __attribute__((visibility("default"))) int distill_call(distill::c_call* call) {{
    using pair = distill::detail::one_pair<distill::detail::element_type::{student}, distill::detail::element_type::{teacher}>;
    return distill::{run}<Eigen::half, Eigen::bfloat16, pair>(loss_of(call), *call);
}}
"""


_CODES = {"float64": (2, 64), "float32": (2, 32), "float16": (2, 16), "bfloat16": (4, 16), "int64": (0, 64), "int32": (0, 32)}


def tensor(data, kind, shape, strides):
    """Memory as the library sees it: its address, the name of its elements' type, its shape, and its strides in elements."""
    code, bits = _CODES.get(kind, (255, 0))
    axes = ctypes.c_int64 * len(shape)
    return Tensor(data=data, device_type=1, device_id=0, ndim=len(shape), code=code, bits=bits, lanes=1, shape=axes(*shape),
                  strides=axes(*strides), byte_offset=0)


def is_rows(shape, strides):
    """Rows of contiguous entries that are one stride apart, as the library reads them; strides count elements."""
    if not shape or 0 in shape:
        return True
    if shape[-1] > 1 and strides[-1] != 1:
        return False
    expected = None
    for length, stride in zip(shape[-2::-1], strides[-2::-1]):
        if length == 1:
            continue
        if stride < shape[-1] or (expected is not None and stride != expected):
            return False
        expected = stride * length
    return True


def refuse_types(student, teacher):
    """The sentence of the library itself, before anything is compiled."""
    for name, kind in (("student", student), ("teacher", teacher)):
        if kind not in LOGITS:
            raise InvalidInput(f"distill: batch.{name} has elements of type {kind}, expected {', '.join(LOGITS[:-1])} or {LOGITS[-1]}")
    if teacher not in (student, "float32"):
        raise InvalidInput(f"distill: batch.teacher has elements of type {teacher}, expected {student}"
                           f"{'' if student == 'float32' else ' or float32'}, for batch.student has {student}")


def _number(name, value):
    try:
        return repr(float(value))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"distill: {name} is {value!r}, expected a number") from error


def _one_or_two(name, value):
    """`2.0`, or `2.0, 1.0` of a pair for the student and the teacher."""
    return ", ".join(_number(name, part) for part in value) if isinstance(value, (tuple, list)) else _number(name, value)


class Objective:
    """What a loss is made of, as text; it is compiled for a pair of element types when one is first met."""

    def __init__(self, objective, reduction="token_mean{}", temperature=1.0, soft_cap=None, definitions=""):
        self.objective, self.reduction, self.definitions = objective, reduction, definitions
        self._functions = {}
        self._arguments = (temperature, soft_cap, definitions)
        self.options = f", temperature{{{_one_or_two('temperature', temperature)}}}"
        if soft_cap is not None:
            self.options += f", soft_cap{{{_one_or_two('soft_cap', soft_cap)}}}"

    def reduced_by(self, reduction):
        """The same objective with another reduction."""
        return Objective(self.objective, reduction, *self._arguments)

    def source(self, student, teacher, per_row):
        return SOURCE.format(objective=self.objective, reduction=self.reduction, options=self.options, definitions=self.definitions,
                             student=student, teacher=teacher, run="run_c_call_per_row" if per_row else "run_c_call")

    def compile(self, student="float32", teacher=None, per_row=False):
        """The path of the shared library for a pair of element types."""
        return build.shared_library(self.source(student, teacher or student, per_row), ("-fopenmp",))

    def _function(self, *key):
        if key not in self._functions:
            function = ctypes.CDLL(str(self.compile(*key))).distill_call
            function.argtypes, function.restype = [ctypes.POINTER(Call)], ctypes.c_int
            self._functions[key] = function
        return self._functions[key]

    def run(self, tensors, student, teacher, per_row, threads, parallel_for=None):
        """Calls the loss with {name: Tensor}; the Call that comes back has the results. The interpreter runs on meanwhile.
        parallel_for is the address of a host's own loop, a distill::c_parallel_for; without one, OpenMP's threads."""
        names = (ctypes.c_char_p * len(tensors))(*(name.encode() for name in tensors))
        pointers = (ctypes.POINTER(Tensor) * len(tensors))(*(ctypes.pointer(tensor) for tensor in tensors.values()))
        call = Call(count=len(tensors), names=names, tensors=pointers, threads=threads, parallel_for=parallel_for)
        if self._function(student, teacher, per_row)(ctypes.byref(call)) != 0:
            raise InvalidInput(call.message.decode("utf-8", "replace"))
        return call
