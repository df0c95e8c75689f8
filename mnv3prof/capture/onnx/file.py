"""Reading of ONNX files, and what is refused in them.

Weights are not needed: their sizes are checked against the bytes that the file has for them, no more.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from ...graph.errors import InputError, any_of, quote
from .inline import MOST_NODES, inlined

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

MOST_BYTES: Final = 2**31 - 1
MOST_SIZE: Final = 2**31
MOST_ELEMENTS: Final = 2**50
_MOST_READ: Final = 4_096
"""Maximum number of elements of a tensor that is read from another file: sizes and positions."""
_DOMAINS: Final = ("", "ai.onnx")
_AUTO_PADS: Final = (b"NOTSET", b"SAME_UPPER", b"SAME_LOWER", b"VALID")
_SUBGRAPHS: Final = ("If", "Loop", "Scan", "SequenceMap")
_BITS: Final = {
    **dict.fromkeys(("BOOL", "INT8", "UINT8"), 8),
    **dict.fromkeys(("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0"), 8),
    **dict.fromkeys(("FLOAT16", "BFLOAT16", "INT16", "UINT16"), 16),
    **dict.fromkeys(("FLOAT", "INT32", "UINT32"), 32),
    **dict.fromkeys(("DOUBLE", "INT64", "UINT64", "COMPLEX64"), 64),
    **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4),
    **dict.fromkeys(("INT2", "UINT2"), 2),
    "COMPLEX128": 128,
}
"""Bits of an element by the type's name."""


def parse_model(data: bytes, folder: Path) -> "ModelProto":
    """Return the model of the content of a file in `folder`.

    Its inputs are those of the network, and each tensor is written once, before it is read. Raises
    InputError for a file that is no such model, or has operators or data that are not allowed.
    """
    try:
        from onnx import ModelProto
    except ImportError:
        raise InputError("onnx is not installed; pip install 'mnv3prof[onnxruntime]'") from None
    damaged: type[Exception] = import_module("google.protobuf.message").DecodeError
    try:
        model: ModelProto = ModelProto.FromString(data)
        _check_names(model)
        model = inlined(model)
        _check(model, folder)
    except damaged:
        raise InputError("it is damaged or no ONNX file") from None
    return model


def dims_of(value: "ValueInfoProto") -> tuple[int | str, ...] | None:
    """Return the sizes of a value: text for an open one, its name, "0", or "?"; None if not known."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value
        if dim.dim_value > 0
        else dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?")
        for dim in value.type.tensor_type.shape.dim
    )


def check_sizes(sizes: Iterable[int], what: str) -> None:
    """Raise InputError about `what` if a tensor of these sizes is too large for any computer."""
    sizes = tuple(sizes)
    if any(not 0 <= size <= MOST_SIZE for size in sizes) or prod(sizes) > MOST_ELEMENTS:
        shown = " x ".join(map(str, sizes[:6]))
        raise InputError(f"{what} has size {shown}; expected sizes from 0 to 2**31, at most 2**50 elements")


def title(node: "NodeProto") -> str:
    """Return a node's name and operator as a message has them."""
    return f"node {quote(node.name or next(iter(node.output), ''))} ({node.op_type[:40]})"


def _check(model: "ModelProto", folder: Path) -> None:
    graph = model.graph
    if not graph.node:
        raise InputError("it is no ONNX file, or has no node; expected a network")
    if len(graph.node) > MOST_NODES:
        raise InputError(f"it has {len(graph.node):,} nodes; expected at most {MOST_NODES:,}")
    opset = max((each.version for each in model.opset_import if each.domain in _DOMAINS), default=1)
    if opset < 1:
        raise InputError(f"its opset is {opset}; expected 1 or more")
    if graph.sparse_initializer:
        raise InputError("it has sparse weights; expected dense ones")
    del model.functions[:]
    for tensor in graph.initializer:
        _check_tensor(tensor, folder)
    _take_inputs(graph)
    for node in graph.node:
        _check_node(node, folder)
    _check_order(graph)


def _check_names(model: "ModelProto") -> None:
    """Raise InputError for names that are not UTF-8, and for operators that are defined anew."""
    functions = model.functions
    known = [*_texts(model.graph), *(name for each in functions for name in _texts_of(each.node))]
    ends = [(each.name, each.domain, *each.input, *each.output) for each in functions]
    if not all(isinstance(name, str) for name in (*known, *(name for names in ends for name in names))):
        raise InputError("it is damaged: a name in it is not UTF-8")
    if any(function.domain in _DOMAINS for function in functions):
        raise InputError("it defines operators of ai.onnx anew; expected the standard ones")


def _texts(graph: "GraphProto") -> Iterator[object]:
    """Return all names; one that is not UTF-8 is bytes."""
    for each in (*graph.initializer, *graph.input, *graph.output):
        yield each.name
    yield from _texts_of(graph.node)


def _texts_of(nodes: Iterable["NodeProto"]) -> Iterator[object]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _texts(inner)


def _take_inputs(graph: "GraphProto") -> None:
    """Remove the weights from the inputs, where old files list them too."""
    stored = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in stored]
    del graph.input[:]
    graph.input.extend(given)
    if not given:
        raise InputError("it has no input; expected a network")
    for value in given:
        if not value.type.HasField("tensor_type"):
            raise InputError(f"input {quote(value.name)} is not a tensor; expected tensors")
        check_sizes(
            (size for size in dims_of(value) or () if isinstance(size, int)), f"input {quote(value.name)}"
        )


def _check_node(node: "NodeProto", folder: Path) -> None:
    if node.domain not in _DOMAINS:
        raise InputError(
            f"{title(node)} is of domain {quote(node.domain)}; expected operators of ai.onnx: "
            "save the network before an optimizer or quantizer of a runtime changes it"
        )
    if not any(node.output):
        raise InputError(f"{title(node)} writes nothing; expected an output")
    for attribute in node.attribute:
        if attribute.name == "auto_pad" and attribute.s not in _AUTO_PADS:
            given = quote(attribute.s.decode("utf-8", "replace"))
            raise InputError(
                f"{title(node)} has the auto_pad {given}; expected {any_of(p.decode() for p in _AUTO_PADS)}"
            )
        if attribute.HasField("g") or attribute.graphs or node.op_type in _SUBGRAPHS:
            raise InputError(f"{title(node)} depends on data; expected a network that always does the same")
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise InputError(f"{title(node)} has a sparse tensor; expected dense ones")
        if attribute.HasField("t"):
            _check_tensor(attribute.t, folder)


def _check_order(graph: "GraphProto") -> None:
    """Check that each tensor is written once, before it is read."""
    written: set[str] = {""}
    for each in (*graph.input, *graph.initializer):
        _write(each.name, written)
    for node in graph.node:
        for name in node.input:
            if name not in written:
                raise InputError(f"{title(node)} reads {quote(name)}, which nothing before it writes")
        for name in filter(None, node.output):
            _write(name, written)
    for value in graph.output:
        if value.name not in written:
            raise InputError(f"no node writes the output {quote(value.name)}")
    if not graph.output:
        raise InputError("it has no output; expected a network")


def _write(name: str, written: set[str]) -> None:
    if name in written:
        raise InputError(f"tensor {quote(name)} is written twice; expected unique names")
    written.add(name)


def _check_tensor(tensor: "TensorProto", folder: Path) -> None:
    """Check sizes, and that the bytes are there."""
    what = f"tensor {quote(tensor.name)}"
    check_sizes(tensor.dims, what)
    kind = _kind(tensor)
    if kind == "STRING":
        return
    if kind not in _BITS:
        raise InputError(f"{what} is of a type that is not known; expected a standard one")
    expected = -(-prod(tensor.dims) * _BITS[kind] // 8)
    if tensor.data_location == tensor.EXTERNAL:
        found = _external_bytes(tensor, folder, what, expected)
    elif tensor.HasField("raw_data"):
        found = len(tensor.raw_data)
    else:
        found = sum(_typed_bytes(tensor, kind))
    if found != expected:
        raise InputError(f"{what} has {found:,} bytes; expected {expected:,} for its size")


def _kind(tensor: "TensorProto") -> str:
    try:
        return str(tensor.DataType.Name(tensor.data_type))
    except ValueError:
        return ""


def _typed_bytes(tensor: "TensorProto", kind: str) -> Iterator[int]:
    """Return the bytes in the fields of the tensor's kind, where an entry may be wider than an element."""
    yield len(tensor.float_data) * 4
    yield len(tensor.double_data) * 8
    yield len(tensor.int64_data) * 8
    yield len(tensor.int32_data) * max(_BITS[kind], 8) // 8
    yield len(tensor.uint64_data) * _BITS[kind] // 8


def _external_bytes(tensor: "TensorProto", folder: Path, what: str, expected: int) -> int:
    """Return the number of bytes in the file that the tensor names; read those of a small one."""
    entries = {str(entry.key): str(entry.value) for entry in tensor.external_data}
    file = _beside(entries.get("location", ""), folder, what)
    places = [entries.get(key, "") for key in ("offset", "length")]
    if not all(not text or (text.isascii() and text.isdecimal() and len(text) < 20) for text in places):
        raise InputError(f"{what} has the place {', '.join(map(quote, places))}; expected two numbers")
    offset = int(places[0] or 0)
    rest = max(0, file.stat().st_size - offset)
    found = min(rest, int(places[1]) if places[1] else expected)
    if found == expected and prod(tensor.dims) <= _MOST_READ:
        with file.open("rb") as data:
            data.seek(offset)
            tensor.raw_data = data.read(expected)
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]
    return found


def _beside(location: str, folder: Path, what: str) -> Path:
    """Return the file at a location, which must be in the model's folder."""
    parts = PurePosixPath(location.replace("\\", "/")).parts
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
    inside = parts and location.isprintable() and ".." not in parts and not absolute
    files = [folder.joinpath(*parts[: n + 1]) for n in range(len(parts))] if inside else []
    try:
        linked, missing = any(file.is_symlink() for file in files), files and not files[-1].is_file()
    except OSError as error:
        raise InputError(f"{what} is in {quote(location)}, which cannot be read ({error.strerror})") from None
    if not files or linked:
        raise InputError(
            f"{what} is in {quote(location)}; expected a file in the model's folder, without '..' or links"
        )
    if missing:
        raise InputError(f"{what} is in {quote(location)}, which is missing; expected it beside the model")
    return files[-1]
