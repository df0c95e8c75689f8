"""TFLite files: the operators and tensors of their first subgraph."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final, NamedTuple

from ...graph.bounds import MOST_ELEMENTS
from ...graph.errors import InputError, quote
from ...graph.graph import Shape
from .flatbuffer import DamagedError, Table, follow

MOST_OPERATORS: Final = 20_000
_MOST_TENSORS: Final = 100_000
_MOST_OPERANDS: Final = 300_000
_MOST_ENTRIES: Final = 5_000
_MOST_AXES: Final = 16
_LONGEST_NAME: Final = 1_000
_IDENTIFIER: Final = b"TFL3"
_NAMES: Final = (
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP "
    "FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION "
    "LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN "
    "SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD "
    "UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE "
    "UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX "
    "DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER "
    "GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL "
    "NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR "
    "ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD "
    "RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL "
    "REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG "
    "ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY "
    "SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D "
    "IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL "
    "CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL "
    "BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD "
    "UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR "
    "RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM "
    "STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM "
    "STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS "
    "STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM "
    "STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT "
    "STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT "
    "STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA "
    "STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER "
    "STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE "
    "STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE"
)
_OPERATORS: Final = tuple(_NAMES.split())
"""Names of the operators by code."""
_FLOATS: Final = frozenset((0, 1, 10, 18, 21, 22))
"""Types of fractional numbers."""
_QUANTIZED: Final = frozenset((3, 7, 9, 17, 19, 20))
"""Types of integers that can be quantized numbers, but for biases."""
_DTYPES: Final = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 7: "int16",
    9: "int8", 10: "float64", 12: "uint64", 15: "uint32", 16: "uint16",
}  # fmt: skip
"""Names of types; other ones are rare."""
_BITS: Final = {
    **dict.fromkeys((17, 20), 4), **dict.fromkeys((3, 6, 9, 21, 22), 8), **dict.fromkeys((1, 7, 16, 18), 16),
    **dict.fromkeys((0, 2, 15), 32), **dict.fromkeys((4, 8, 10, 12), 64), 11: 128, 19: 2,
}  # fmt: skip
"""Bits of an element by type."""


class Stored(NamedTuple):
    """A tensor of a network.

    shape: with the batch. known: every size but the first is fixed. buffer: what holds its values, 0 if
    they are computed or given. learned: they are fractional numbers of a tensor that is no scalar, or
    quantized. variable: it is a state that the network keeps. dtype: its type's name.
    """

    name: str
    shape: Shape
    known: bool
    buffer: int
    learned: bool
    variable: bool
    dtype: str

    @property
    def constant(self) -> bool:
        """True if the file has its values, or it has none."""
        return self.buffer != 0 or 0 in self.shape


class Operator(NamedTuple):
    """An operator. op: its name in TFLite. operands: positions of tensors, -1 for one that is left out."""

    op: str
    operands: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def option(self, field: int, form: str = "i", default: int = 0) -> int:
        """Return an option that is an integer."""
        return self.options.number(field, form, default) if self.options else default


class Network(NamedTuple):
    """The first subgraph of a file: its tensors are known by their position."""

    tensors: Mapping[int, Stored]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_network(data: bytes) -> Network:
    """Return the network of a TFLite file. Raises DamagedError and InputError."""
    if data[4:8] != _IDENTIFIER:
        raise DamagedError("it does not begin as a TFLite file")
    model = Table(data, follow(data, 0))
    graphs = model.tables(2, _MOST_ENTRIES)
    if not graphs:
        raise DamagedError("it has no network")
    graph = graphs[0]
    if (count := graph.entries(3)) > MOST_OPERATORS:
        raise InputError(f"it has {count:,} operators; expected at most {MOST_OPERATORS:,}")
    operators = _operators(model, graph)
    inputs, outputs = (graph.integers(field, _MOST_ENTRIES) for field in (1, 2))
    used = {n for each in operators for n in (*each.operands, *each.outputs) if n >= 0}.union(inputs, outputs)
    given, buffers = graph.tables(0, _MOST_TENSORS), model.tables(4, _MOST_TENSORS)
    if used and not 0 <= min(used) <= max(used) < len(given):
        raise DamagedError("an operator in it reads a tensor that is not there")
    return Network({n: _tensor(given[n], buffers) for n in sorted(used)}, operators, inputs, outputs)


def _operators(model: Table, graph: Table) -> tuple[Operator, ...]:
    codes = [_code(each) for each in model.tables(1, _MOST_ENTRIES)]
    operators = []
    operands = 0
    for table in graph.tables(3, MOST_OPERATORS):
        operators.append(_operator(table, codes))
        operands += len(operators[-1].operands) + len(operators[-1].outputs)
        if operands > _MOST_OPERANDS:
            raise InputError(f"its operators have too many operands; expected at most {_MOST_OPERANDS:,}")
    return tuple(operators)


def _code(table: Table) -> str:
    """Return an operator's name; codes below 128 may stand in the older field alone."""
    code = max(table.number(3), table.number(0, "b"))
    if not 0 <= code < len(_OPERATORS):
        raise DamagedError(f"it has an operator of the code {code}, which is not known")
    if _OPERATORS[code] == "CUSTOM":
        return f"custom {table.text(1, _LONGEST_NAME)}"
    return _OPERATORS[code]


def _operator(table: Table, codes: Sequence[str]) -> Operator:
    code = table.number(0, "I")
    if code >= len(codes):
        raise DamagedError("an operator in it has no code")
    operands, outputs = (table.integers(field, _MOST_TENSORS) for field in (1, 2))
    if not outputs or min(outputs) < 0 or min(operands, default=0) < -1:
        raise DamagedError("an operator in it has no output")
    return Operator(codes[code], operands, outputs, table.table(4))


def _tensor(table: Table, buffers: Sequence[Table]) -> Stored:
    name = table.text(3, _LONGEST_NAME)
    what = f"tensor {quote(name)}"
    shape, signature = (table.integers(field, _MOST_AXES) for field in (0, 7))
    if any(size < 0 for size in shape) or prod(shape) > MOST_ELEMENTS:
        raise InputError(f"{what} has the size {quote(shape)}; expected at most 2^40 elements")
    buffer, kind = table.number(2, "I"), table.number(1, "b")
    if buffer and buffer >= len(buffers):
        raise DamagedError(f"{what} has no buffer")
    stored = _stored_bytes(buffers[buffer]) if buffer else 0
    outside = table.number(10, "I")
    if table.table(6):
        raise InputError(f"{what} has sparse weights; expected dense ones")
    if stored and kind in _BITS and stored != -(-prod(shape) * _BITS[kind] // 8):
        raise InputError(f"{what} has {stored:,} bytes, which do not fit its size {quote(shape)}")
    scales = table.table(4)
    quantized = kind in _QUANTIZED and scales is not None and scales.entries(2) > 0
    known = not any(size < 0 for size in signature[1:]) and len(signature) in (0, len(shape))
    known = known and (signature[:1] != (-1,) or shape[0] == 1)
    place = buffer if stored else -outside
    learned = bool(shape) and (kind in _FLOATS or quantized)
    dtype = _DTYPES.get(kind, f"type {kind}")
    return Stored(name, shape, known, place, learned, bool(table.number(5, "B")), dtype)


def _stored_bytes(buffer: Table) -> int:
    """Return the number of bytes of a buffer, which may be behind the flatbuffer."""
    offset, size = buffer.number(1, "Q"), buffer.number(2, "Q")
    if offset > 1 and offset + size > len(buffer.data):
        raise DamagedError("it ends before the data that it says it has")
    return size if offset > 1 else buffer.entries(0)
