"""ONNX of a layer table's part: the nodes that torch.onnx writes, under the same names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ...device.runtimes import input_names, output_names
from .operations import Operation, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET: Final = 20
_IR: Final = 9
_NODES: Final = {
    "pool": "GlobalAveragePool",
    "add": "Add",
    "mul": "Mul",
    "relu": "Relu",
    "hardswish": "HardSwish",
    "sigmoid": "Sigmoid",
}


def onnx_model(operations: Sequence[Operation], batch: int) -> bytes:
    """Return the model of operations, from "x" to "y"."""
    from onnx import TensorProto, helper

    graph = _Graph()
    (first,), (last,) = input_names(1), output_names(1)
    graph.names.append(first)
    for operation in operations[1:]:
        graph.names.append(graph.write(operation))
    graph.nodes[-1].output[0] = last
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, *operation.shape))
        for name, operation in ((first, operations[0]), (last, operations[-1]))
    ]
    found = helper.make_graph(graph.nodes, "main_graph", ends[:1], ends[1:], graph.constants)
    model = helper.make_model(
        found, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR, producer_name="mnv3prof"
    )
    data: bytes = model.SerializeToString()
    return data


class _Graph:
    """Nodes and constants. names: of the operations' outputs, by number."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.names: list[str] = []
        self._taken: set[str] = set()

    def write(self, operation: Operation) -> str:
        """Add the nodes of an operation. Return the name of its output."""
        scope, inputs = operation.scope, [self.names[number] for number in operation.inputs]
        match operation.kind:
            case "conv":
                assert operation.window is not None  # of a convolution
                return self._node(
                    "Conv", scope, [*inputs, *self._weights(operation)], _window(operation.window)
                )
            case "linear":
                return self._linear(operation, inputs)
            case "norm":
                named = [
                    self._constant(f"{scope}.{name}", value)
                    for name, value in zip(
                        ("weight", "bias", "running_mean", "running_var"), operation.values, strict=True
                    )
                ]
                return self._node("BatchNormalization", scope, [*inputs, *named], {"epsilon": operation.eps})
            case "pad":
                top, left, bottom, right = operation.pads
                pads = self._constant(f"{scope}/pads", _integers(0, 0, top, left, 0, 0, bottom, right))
                return self._node("Pad", scope, [*inputs, pads], {"mode": "constant"})
            case "flatten":
                return self._node("Flatten", scope, inputs, {"axis": 1})
            case "unflatten":
                for axis in (2, 3):
                    axes = self._constant(f"{scope}/axis{axis}", _integers(axis))
                    inputs = [self._node("Unsqueeze", scope, [inputs[0], axes])]
                return inputs[0]
        return self._activation(operation, inputs)

    def _activation(self, operation: Operation, inputs: list[str]) -> str:
        scope, kind = operation.scope, operation.kind
        if kind == "relu6":
            return self._clipped(scope, inputs[0])
        if kind == "hardsigmoid":
            return self._node("HardSigmoid", scope, inputs, {"alpha": 1 / 6})
        if kind == "swish":
            return self._node("Mul", scope, [*inputs, self._node("Sigmoid", scope, inputs)])
        if kind in ("composed hardswish", "composed hardsigmoid"):
            above = self._node("Add", scope, [*inputs, self._constant(f"{scope}/three", _float(3))])
            six = self._constant(f"{scope}/six", _float(6))
            gate = self._node("Div", scope, [self._clipped(scope, above), six])
            return gate if kind == "composed hardsigmoid" else self._node("Mul", scope, [*inputs, gate])
        return self._node(_NODES[kind], scope, inputs)

    def _clipped(self, scope: str, given: str) -> str:
        limits = [self._constant(f"{scope}/{name}", _float(n)) for name, n in (("low", 0), ("high", 6))]
        return self._node("Clip", scope, [given, *limits])

    def _linear(self, operation: Operation, inputs: list[str]) -> str:
        if len(operation.values) == 1:
            weight = self._constant(f"{operation.scope}.weight", operation.values[0].T)
            return self._node("MatMul", operation.scope, [*inputs, weight])
        fields = {"alpha": 1.0, "beta": 1.0, "transB": 1}
        return self._node("Gemm", operation.scope, [*inputs, *self._weights(operation)], fields)

    def _weights(self, operation: Operation) -> list[str]:
        names = ("weight", "bias")
        return [
            self._constant(f"{operation.scope}.{name}", value)
            for name, value in zip(names, operation.values, strict=False)
        ]

    def _constant(self, name: str, value: "NDArray[Any]") -> str:
        from onnx import numpy_helper

        name = self._unique(name)
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, scope: str, inputs: list[str], fields: dict[str, Any] | None = None) -> str:
        from onnx import helper

        name = self._unique(f"{scope}/{kind}")
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_output_0"], name, **(fields or {})))
        return f"{name}_output_0"

    def _unique(self, name: str) -> str:
        """Return the name, with the first free number behind it if it is taken."""
        number, found = 0, name
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found


def _window(window: Window) -> dict[str, Any]:
    return {
        "dilations": window.dilation,
        "group": window.groups,
        "kernel_shape": window.kernel,
        "pads": window.pads,
        "strides": window.stride,
    }


def _integers(*values: int) -> "NDArray[Any]":
    import numpy as np

    return np.array(values, np.int64)


def _float(value: float) -> "NDArray[Any]":
    import numpy as np

    return np.array(value, np.float32)
