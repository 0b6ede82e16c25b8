"""Files of one's own for the demo that it refuses, each with the one sentence that it says."""

import struct

NAN, INF = float("nan"), float("inf")
# The student hardly has what the teacher wants in rows 0 and 2.
STUDENT = [[0, 9, 0, 0], [1, 2, 3, 4], [0, 0, 9, 0]]
TEACHER = [[9, 0, 0, 0], [4, 3, 2, 1], [9, 0, 0, 0]]
FLOATS = "expected float16, float32, float64 or ml_dtypes' bfloat16: save the logits as one of these"
BITS = "; the bits of bfloat16 as array.view(ml_dtypes.bfloat16)"


def npy(descr: str, shape: tuple, data: bytes, order: str = "False", version: int = 1) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    header += " " * (117 - len(header)) + "\n"
    return b"\x93NUMPY" + struct.pack("<BBH", version, 0, len(header)) + header.encode() + data


def array(rows: list, descr: str = "<f4", code: str = "<f") -> bytes:
    numbers = [x for row in rows for x in row]
    return npy(descr, (len(rows), len(rows[0])), struct.pack(f"{code[0]}{len(numbers)}{code[1]}", *numbers))


def bfloat16(rows: list) -> bytes:
    halves = [struct.pack("<f", x)[2:] for row in rows for x in row]
    return npy("<V2", (len(rows), len(rows[0])), b"".join(halves))


def tokens(*ids: int) -> bytes:
    return npy("<i4", (len(ids),), struct.pack(f"<{len(ids)}i", *ids))


def other_type(descr: str, name: str, hint: str = "") -> tuple:
    return npy(descr, (3, 4), bytes(12 * 16)), f"student.npy holds {name}, {FLOATS}{hint}"


UNSOUND = [  # the student's file, the one sentence, and what else is given
    other_type("|b1", "bool"),
    other_type("<c8", "complex64"),
    other_type("|i1", "int8"),
    other_type(">i8", "int64"),
    other_type("<u2", "uint16", BITS),
    other_type("<i2", "int16", BITS),
    other_type("|V2", "data of type '|V2'", BITS),
    other_type("<f16", "float128"),
    other_type("|O", "Python objects"),
    (npy("<M8[s]", (3, 4), bytes(96)), "student.npy holds no plain numbers: save an array of them"),
    (npy("<f4", (3, 4), bytes(48), order="True"),
     "student.npy is in Fortran order, expected C order: save numpy.ascontiguousarray(array)"),
    (npy("<f4", (4,), bytes(16)), "student.npy has shape (4,), expected (rows, vocabulary): "
     "save array.reshape(-1, array.shape[-1])"),
    (npy("<f4", (1, 3, 4), bytes(48)), "student.npy has shape (1, 3, 4), expected (rows, vocabulary): "
     "save array.reshape(-1, array.shape[-1])"),
    (npy("<f4", (0, 4), b""), "student.npy has shape (0, 4), expected at least one row of at least one logit: save some"),
    (npy("<f4", (3, 0), b""), "student.npy has shape (3, 0), expected at least one row of at least one logit: save some"),
    (array(STUDENT)[:-8], "student.npy holds 40 bytes of numbers, expected 48 for its shape (3, 4): save or copy it again"),
    (array(STUDENT)[:50], "student.npy ends within its header: save or copy it again"),
    (b"", "student.npy is empty, expected a file of numpy.save: save or copy it again"),
    (b"PK\3\4 and so on", "student.npy is a zip archive (.npz or .pt), expected one array: save it with numpy.save"),
    (b"1.0 2.0 3.0", "student.npy is no .npy file: save the array with numpy.save"),
    (npy("<f4", (3, 4), bytes(48), version=2),
     "student.npy is a .npy file of version 2, expected 1: save it with numpy.save"),
    (None, "cannot open student.npy: No such file or directory; expected a file of numpy.save: "
     "give its path, absolute or from the folder you are in"),
    ("folder", "student.npy is a directory, expected a file of numpy.save: name the file in it"),
    (array([row[:3] for row in STUDENT]), "student.npy has shape (3, 3), teacher.npy (3, 4), expected the same: "
     "save both for the same positions and the same vocabulary"),
    (array([[NAN, 0, 0, 0], [0, INF, 0, 0], [-INF] * 4]), "no row is left, expected at least one of sound logits: "
     "mend the rows named above"),
    (array(STUDENT), "student.npy and teacher.npy: in no row does the teacher give a token more than 1/2, expected one such "
     "row at least: no gradient steps are counted; choose positions where the teacher is surer",
     {"teacher.npy": array([[0] * 4] * 3)}),
    (array(STUDENT), "tokens.npy holds 2 tokens, student.npy 3 rows, expected a token for every row: save both for the same "
     "positions", {"tokens.npy": tokens(0, 1)}),
    (array(STUDENT), "tokens.npy holds -100 in row 1, expected a token from 0 to 3: leave that row out of all three files",
     {"tokens.npy": tokens(0, -100, 1)}),
    (array(STUDENT), "tokens.npy holds float32, expected int32 or int64: save the token ids with array.astype('int64')",
     {"tokens.npy": npy("<f4", (3,), bytes(12))}),
    (array(STUDENT), "tokens.npy has shape (3, 1), expected (rows,): save array.reshape(-1)",
     {"tokens.npy": npy("<i4", (3, 1), bytes(12))}),
    (array(STUDENT), "cannot write nowhere/t.tsv: No such file or directory; give a path that can be written",
     {"arguments": ["--table", "nowhere/t.tsv"]}),
]  # fmt: skip
