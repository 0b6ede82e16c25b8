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
                ("tensors", ctypes.POINTER(ctypes.POINTER(Tensor))), ("threads", ctypes.c_int64), ("value", ctypes.c_double),
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
auto loss_on(int threads) {{
    return loss{{
#line 1 "objective"
{objective}
        , eigen{{openmp{{threads}}}},
#line 1 "reduction"
{reduction}
#line 1 "options"
        {options}
    }};
}}
}}
extern "C" __attribute__((visibility("default"))) int distill_call(distill::c_call* call) {{
    using pair = distill::detail::one_pair<distill::detail::element_type::{student}, distill::detail::element_type::{teacher}>;
    return distill::{run}<Eigen::half, Eigen::bfloat16, pair>(loss_on(static_cast<int>(call->threads)), *call);
}}
"""


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
        self.options = f", temperature{{{_one_or_two('temperature', temperature)}}}"
        if soft_cap is not None:
            self.options += f", soft_cap{{{_one_or_two('soft_cap', soft_cap)}}}"

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

    def run(self, tensors, student, teacher, per_row, threads):
        """Calls the loss with {name: Tensor}; the Call that comes back has the results. The interpreter runs on meanwhile."""
        names = (ctypes.c_char_p * len(tensors))(*(name.encode() for name in tensors))
        pointers = (ctypes.POINTER(Tensor) * len(tensors))(*(ctypes.pointer(tensor) for tensor in tensors.values()))
        call = Call(count=len(tensors), names=names, tensors=pointers, threads=threads)
        if self._function(student, teacher, per_row)(ctypes.byref(call)) != 0:
            raise InvalidInput(call.message.decode("utf-8", "replace"))
        return call
