"""Networks in ONNX files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...graph.errors import about
from ...graph.graph import Graph
from ...record.atomic import read_file
from .file import MOST_BYTES, dims_of, parse_model
from .lower import lower_onnx
from .node import Node
from .simplify import shapes_of, simplify, take_weights
from .sizes import fix_inputs

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


def onnx_inputs(path: Path, where: str) -> dict[str, tuple[int | str, ...] | None]:
    """Return the sizes of each input of an ONNX file, with the batch. Raises InputError about `where`.

    A symbolic size is its name, or "?"; None if the file says nothing about the sizes.
    """
    model = _model(path, where)
    return {value.name: dims_of(value) for value in model.graph.input}


def read_onnx(path: Path, where: str, name: str, shapes: Sequence[tuple[int, ...]] = ()) -> Graph:
    """Return the graph of an ONNX file, called `name`. Raises InputError about `where`.

    shapes: one per input, without the batch, for inputs whose sizes are symbolic; the last sizes are enough.
    Layers are the nodes that are left after ONNX Runtime's folding of constants, in the file's order.
    Parameters are the stored tensors of fractional numbers that are no scalars, and quantized weights.
    Values of weights are not read.
    """
    return read_tensors(path, where, name, shapes).graph


class Read(NamedTuple):
    """The graph of a file. tensors: the file's name of each tensor of it. dtypes: of the inputs."""

    graph: Graph
    tensors: dict[str, str]
    dtypes: tuple[str, ...]


def read_tensors(path: Path, where: str, name: str, shapes: Sequence[tuple[int, ...]] = ()) -> Read:
    """Return what read_onnx does, with the file's names and dtypes."""
    model = _model(path, where)
    with about(where):
        fix_inputs(model, shapes)
        inputs = tuple(value.name for value in model.graph.input)
        dtypes = tuple(map(_dtype, model.graph.input))
        places = {name: n for n, node in enumerate(model.graph.node) for name in node.output}
        weights = take_weights(model)
        model = simplify(model, weights, frozenset(inputs))
        nodes = _in_order(_nodes(model), places)
        outputs = tuple(value.name for value in model.graph.output)
        graph, tensors = lower_onnx(name, nodes, (inputs, outputs), shapes_of(model), weights, _values(model))
        return Read(graph, tensors, dtypes)


def _model(path: Path, where: str) -> "ModelProto":
    data = read_file(path, MOST_BYTES, "expected an ONNX file")
    with about(where):
        return parse_model(data, path.parent)


def _dtype(value: "ValueInfoProto") -> str:
    from onnx import TensorProto

    name: str = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _nodes(model: "ModelProto") -> list[Node]:
    from onnx.helper import get_attribute_value

    found = []
    for node in model.graph.node:
        attributes = {each.name: get_attribute_value(each) for each in node.attribute}
        outputs = tuple(filter(None, node.output))
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        found.append(Node(node.name, f"{domain}{node.op_type}", tuple(node.input), outputs, attributes))
    return found


def _values(model: "ModelProto") -> dict[str, float]:
    """Return the values of constants with one element."""
    from onnx.numpy_helper import to_array

    single = [
        tensor
        for tensor in model.graph.initializer
        if set(tensor.dims) <= {1} and tensor.data_type != tensor.STRING
    ]
    return {tensor.name: float(to_array(tensor).ravel()[0].real) for tensor in single}


def _in_order(nodes: list[Node], places: Mapping[str, int]) -> list[Node]:
    """Return the nodes in the file's order; one that is not in the file is behind what it reads."""
    place: dict[str, int] = {}
    for node in nodes:
        known = [places[name] for name in node.outputs if name in places]
        at = min(known) if known else max((place.get(name, 0) for name in node.inputs), default=0)
        place |= dict.fromkeys(node.outputs, at)
    ordered = sorted(nodes, key=lambda node: place[node.outputs[0]])
    unwritten = {name for node in nodes for name in node.outputs}
    for node in ordered:
        if unwritten.intersection(node.inputs):
            return nodes
        unwritten.difference_update(node.outputs)
    return ordered
