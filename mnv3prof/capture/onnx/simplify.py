"""ONNX Runtime's folding of constants, after which all shapes are known.

Large weights are passed as inputs: ONNX Runtime folds what shapes are computed from, and nothing else.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...graph.errors import InputError, quote
from ...graph.graph import Shape
from .file import check_sizes

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto, ValueInfoProto

_MOST_FOLDED: Final = 2**27
"""Maximum number of elements of a constant that is computed."""
_SMALL: Final = 8
_SMALL_INTEGERS: Final = 4_096
"""Maximum number of elements of a tensor that is folded: scales and bounds; sizes and positions."""
_DISABLED: Final = (
    *("TransposeOptimizer", "MatMulAddFusion", "ConstantSharing", "CommonSubexpressionElimination"),
    *("ConvAddFusion", "ConvMulFusion", "ConvBNFusion", "MatmulBNFusion", "GemmSumFusion", "ReluClipFusion"),
)
"""Optimizers that change the network's operations or weights, or their order."""
_SINCE: Final = (
    (17, ("LayerNormFusion", "LayerNormFusionL1")),
    (20, ("GeluFusion", "GeluFusionL1")),
    (23, ("SimplifiedLayerNormFusion",)),
)
"""Optimizers whose result is a standard operator from that opset on only."""
_KEPT: Final = {"HardSwish": "HardSigmoid"}
"""Operators that ONNX Runtime would decompose, and others of the same shape, which it would not."""


class Weight(NamedTuple):
    """A tensor that is stored in the file.

    learned: it has fractional numbers, and is no scalar. used: a node reads it. parts: names of the stored
    tensors that it is folded from.
    """

    shape: Shape
    learned: bool
    used: bool
    parts: tuple[str, ...] = ()


def take_weights(model: "ModelProto") -> dict[str, Weight]:
    """Remove the weights' data but for small ones, and return what is stored by name.

    Large weights become inputs. Operators that only name a stored tensor are removed.
    """
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    names: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        for n, name in enumerate(node.input):
            node.input[n] = names.get(name, name)
        value = next((each.t for each in node.attribute if each.name == "value" and each.HasField("t")), None)
        if node.op_type == "Constant" and value is not None and len(node.output) == 1:
            value.name = node.output[0]
            stored[value.name] = value
        elif node.op_type == "Identity" and len(node.input) == 1 and node.input[0] in stored:
            names[node.output[0]] = node.input[0]
        else:
            nodes.append(node)
    small = [tensor for tensor in stored.values() if _is_small(tensor)]
    read = {name for node in nodes for name in node.input}
    weights = {
        name: Weight(tuple(tensor.dims), _is_learned(tensor), name in read) for name, tensor in stored.items()
    }
    large = [_as_input(tensor) for tensor in stored.values() if not _is_small(tensor)]
    outputs = [value for value in graph.output if value.name not in names]
    _replace(model, nodes, small, large, outputs)
    return weights


def _replace(model: "ModelProto", nodes: Any, small: Any, large: Any, outputs: Any) -> None:
    """Put new contents into a model, without the shapes that the file states."""
    graph = type(model.graph)(name="network", node=nodes, initializer=small, output=outputs)
    graph.input.extend((*model.graph.input, *large))
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    model.graph.CopyFrom(graph)
    model.ir_version = max(model.ir_version, 4)
    del model.metadata_props[:]
    del model.training_info[:]


def _is_small(tensor: "TensorProto") -> bool:
    integers = tensor.data_type in (tensor.INT64, tensor.INT32, tensor.BOOL)
    external = tensor.data_location == tensor.EXTERNAL
    return not external and prod(tensor.dims) <= (_SMALL_INTEGERS if integers else _SMALL)


def _is_learned(tensor: "TensorProto") -> bool:
    name = tensor.DataType.Name(tensor.data_type)
    return len(tensor.dims) > 0 and name.startswith(("FLOAT", "BFLOAT", "DOUBLE"))


def _as_input(tensor: "TensorProto") -> "ValueInfoProto":
    from onnx import helper

    return helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))


def simplify(model: "ModelProto", weights: dict[str, Weight], running: frozenset[str]) -> "ModelProto":
    """Return the model with constants folded, and add those to the weights that come from learned ones.

    running: the network's inputs. Raises InputError if ONNX Runtime refuses it, or a constant is too large.
    """
    _check_constants(model, running)
    parts = {name: (name,) for name, each in weights.items() if each.learned and prod(each.shape) > 1}
    for node in model.graph.node:
        found = dict.fromkeys(part for name in node.input for part in parts.get(name, ()))
        parts |= dict.fromkeys(node.output, tuple(found))
    renamed = {}
    for node in model.graph.node:
        if node.op_type in _KEPT and node.output:
            renamed[node.output[0]] = node.op_type
            node.op_type = _KEPT[node.op_type]
    simplified = _run(model)
    for node in simplified.graph.node:
        if kept := renamed.get(node.output[0]):
            node.op_type = kept
            del node.attribute[:]
    for tensor in simplified.graph.initializer:
        if tensor.name not in weights and parts.get(tensor.name) and _is_learned(tensor):
            weights[tensor.name] = Weight(tuple(tensor.dims), True, True, parts[tensor.name])
    return simplified


def _run(model: "ModelProto") -> "ModelProto":
    """Simplify a model by ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError("onnxruntime is not installed; pip install 'mnv3prof[onnxruntime]'") from None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_prepacking", "1")
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
    disabled = [*_DISABLED, *(name for since, names in _SINCE if opset < since for name in names)]
    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        file = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(file)
        with _refusals("ONNX Runtime refuses it", folder):
            onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,
                disabled_optimizers=disabled,
            )
        model.ParseFromString(file.read_bytes())
    return model


@contextmanager
def _refusals(what: str, folder: str) -> Iterator[None]:
    """Make an exception of ONNX Runtime, whose classes have no base of their own, an InputError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [each for each in vars(state).values() if isinstance(each, type)]
    classes = (each for each in found if issubclass(each, Exception))
    refusals: tuple[type[Exception], ...] = (*classes, RuntimeError, ValueError, MemoryError)
    try:
        yield
    except refusals as error:
        raise InputError(f"{what}: {_sentence(str(error).replace(folder, ''))}") from None


def _sentence(message: str) -> str:
    """Return the first sentence of a message, without the places in the runtime's code."""
    if newer := re.search(r"Opset (\d+) is under development.*till opset (\d+)", message, re.DOTALL):
        return f"its opset is {newer[1]}; expected at most {newer[2]}"
    text = re.sub(r"^\[\w+\] : \d+ : \w+ : (This is an invalid model\. )?", "", message.strip())
    text = re.sub(r'^In Node, \("(.*?)", (\w+), .*?, Error ', r"node '\1' (\2): ", text, flags=re.DOTALL)
    text = re.sub(r"^Node \((.*?)\) Op \((\w+)\) (\[\w+\] )?", r"node '\1' (\2): ", text)
    text = re.sub(r"\S*/\S+\.(cc|h|cpp):\d+:?( \S+\(.*?\))?", "", text)
    text = re.sub(r"[\w ]*\bonnxruntime::.*\) (?=[A-Z])", "", text)
    return re.split(r"(?<=[\w)'\"])\. |\n", text.strip())[0][:180].strip(" .") or "it gives no reason"


def shapes_of(model: "ModelProto") -> dict[str, Shape]:
    """Return the shapes that are known. Raises InputError for one that is too large."""
    from onnx import shape_inference

    try:
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise InputError(f"its shapes do not fit together: {_sentence(str(error))}") from None
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output, *graph.input):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
            check_sizes(shapes[value.name], f"tensor {quote(value.name)}")
    return shapes


def _check_constants(model: "ModelProto", running: frozenset[str]) -> None:
    """Raise InputError for a constant that ONNX Runtime could not compute in memory."""
    shapes: Mapping[str, Shape] = shapes_of(model)
    depends = set(running)
    for node in model.graph.node:
        if depends.intersection(node.input):
            depends.update(node.output)
            continue
        for name in node.output:
            if prod(shapes.get(name, ())) > _MOST_FOLDED:
                elements = f"{prod(shapes[name]):,} elements; expected at most {_MOST_FOLDED:,}"
                raise InputError(f"constant {quote(name)} has {elements}")
