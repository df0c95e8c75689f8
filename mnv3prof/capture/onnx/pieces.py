"""Parts of an ONNX network as models of their own."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...device.runtimes import input_names, output_names
from ...graph.errors import InputError, about
from ...graph.graph import Shape
from . import read_tensors
from .file import MOST_BYTES
from .inline import inlined
from .simplify import simplify
from .sizes import fix_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto


class Pieces:
    """The network of an ONNX file with its weights, at batch 1. Raises InputError.

    graph: as read_onnx returns it.
    """

    def __init__(self, path: Path, name: str, shapes: Sequence[Shape]) -> None:
        import onnx.shape_inference

        where = str(path)
        self.graph, self.tensors, _ = read_tensors(path, where, name, shapes)
        with about(where):
            if path.stat().st_size > MOST_BYTES:
                raise InputError("it is too large to be divided")
            model = inlined(onnx.load(path))
            fix_inputs(model, shapes)
            simplified = simplify(model, {}, frozenset(value.name for value in model.graph.input))
            self.model = onnx.shape_inference.infer_shapes(simplified, data_prop=True)

    def piece(self, given: Sequence[str], results: Sequence[str]) -> "ModelProto":
        """Return the model between tensors that are named as in the graph: from x, x1, ... to y, y1, ..."""
        from onnx.utils import Extractor

        first, last = ([self.tensors[name] for name in names] for names in (given, results))
        model = Extractor(self.model).extract_model(first, last)
        _rename(
            model,
            {
                **dict(zip(first, input_names(len(first)), strict=True)),
                **dict(zip(last, output_names(len(last)), strict=True)),
            },
        )
        return model

    def values(self, images: "Sequence[NDArray[Any]]", names: Sequence[str]) -> "list[NDArray[Any]]":
        """Run the network, and return the tensors of these names."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        known = {value.name: value for value in model.graph.value_info}
        outputs = {value.name for value in model.graph.output}
        wanted = {name: self.tensors[name] for name in names}
        for tensor in dict.fromkeys(wanted.values()):
            if tensor not in outputs and tensor not in {value.name for value in model.graph.input}:
                model.graph.output.append(known.get(tensor) or onnx.ValueInfoProto(name=tensor))
        feed = {value.name: image for value, image in zip(model.graph.input, images, strict=True)}
        found = {**run(model, feed), **feed}
        return [found[tensor] for tensor in wanted.values()]


def run(model: "ModelProto", given: Mapping[str, "NDArray[Any]"]) -> dict[str, "NDArray[Any]"]:
    """Run a model by ONNX Runtime without optimizations, and return its outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(given)), strict=True))


def _rename(model: "ModelProto", names: Mapping[str, str]) -> None:
    """Rename tensors. Those that have one of the new names get another one."""
    graph = model.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer}
    clashes = (taken & {*names.values()}) - {*names}
    others = (f"{name}_{n}" for n in count() for name in clashes)
    free = (name for name in others if name not in taken and name not in names.values())
    renamed = {**names, **dict(zip(sorted(clashes), free, strict=False))}
    for node in graph.node:
        for field in (node.input, node.output):
            for n, name in enumerate(field):
                field[n] = renamed.get(name, name)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = renamed.get(value.name, value.name)
