"""ncnn's param and bin of a layer table's part: the layers that pnnx writes."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .operations import Operation, Unknown, folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC: Final = 7767517
_PLAIN: Final = b"\0\0\0\0"
"""Before a weight that is stored in fp32."""
_SIXTH: Final = "0=0.166666672 1=0.5"
_LAYERS: Final = {
    "relu": ("ReLU", ""),
    "relu6": ("Clip", "0=0.0 1=6.0"),
    "sigmoid": ("Sigmoid", ""),
    "swish": ("Swish", ""),
    "hardswish": ("HardSwish", _SIXTH),
    "composed hardswish": ("HardSwish", _SIXTH),
    "hardsigmoid": ("HardSigmoid", _SIXTH),
    "composed hardsigmoid": ("HardSigmoid", _SIXTH),
    "pool": ("Pooling", "0=1 4=1"),
    "add": ("BinaryOp", "0=0"),
    "mul": ("BinaryOp", "0=2"),
}
_FUSED: Final = {"relu": " 9=1", "relu6": " -23310=2,0.0,6.0 9=3", "sigmoid": " 9=4"}
"""Activations that a product computes itself."""


def ncnn_model(operations: Sequence[Operation]) -> tuple[str, bytes] | None:
    """Return the texts of param and bin, from "in0" to "out0"; None for what is left to pnnx."""
    model = _Model(operations)
    try:
        model.write()
    except Unknown:
        return None
    return model.param(), b"".join(model.weights)


class _Model:
    """Layers: type, name, inputs, outputs, fields. blobs: by the number of an operation."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.readers = Counter(number for operation in operations for number in operation.inputs)
        self.layers: list[tuple[str, str, list[int], list[int], str]] = []
        self.weights: list[bytes] = []
        self.blob: dict[int, int] = {}
        self.flat: set[int] = set()
        """Operations whose output has one axis."""
        self.skipped: set[int] = set()
        self.count = 0

    def write(self) -> None:
        """Write the layers."""
        self._layer("Input", 0, [], "")
        if len(self.operations[0].shape) == 1:
            self.flat.add(0)
        for number, operation in enumerate(self.operations):
            if number and number not in self.skipped:
                self._write(number, operation)

    def param(self) -> str:
        """Return the text of the layers, with a Split where several read a blob."""
        reads = Counter(blob for *_, inputs, _, _ in self.layers for blob in inputs)
        last = self.layers[-1][3][0]
        text: list[str] = []
        left: dict[int, list[str]] = {}
        blobs = self.count
        for kind, name, inputs, outputs, fields in self.layers:
            given = [left[blob].pop() if blob in left else _named(blob, last) for blob in inputs]
            text.append(_line(kind, name, given, [_named(blob, last) for blob in outputs], fields))
            for blob in outputs:
                if (many := reads[blob]) > 1:
                    left[blob] = [f"{blob}_{n}" for n in range(many)]
                    text.append(_line("Split", f"split_{blob}", [_named(blob, last)], left[blob], ""))
                    left[blob] = left[blob][::-1]
                    blobs += many
        return "\n".join([str(_MAGIC), f"{len(text)} {blobs}", *text]) + "\n"

    def _write(self, number: int, operation: Operation) -> None:
        (source, *_) = operation.inputs
        kind = operation.kind
        if kind == "pad":
            self._pass_on(number, source)  # the convolution pads
            following = self._only_reader(number)
            if following is None or self.operations[following].kind != "conv":
                raise Unknown("pad")
        elif kind == "flatten":
            if source not in self.flat:
                raise Unknown("flatten")
            self._pass_on(number, source)
        elif kind == "conv":
            self._conv(number, operation)
        elif kind == "linear":
            self._linear(number, operation)
        elif kind == "unflatten":
            self._layer("Reshape", number, [source], f"0=1 1=1 2={operation.shape[0]}")
        elif kind in _LAYERS:
            name, fields = _LAYERS[kind]
            self._layer(name, number, list(operation.inputs), fields)
            if kind == "pool" or (source in self.flat and kind not in ("add", "mul")):
                self.flat.add(number)
        else:
            raise Unknown(kind)

    def _pass_on(self, number: int, source: int) -> None:
        self.blob[number] = self.blob[source]
        if source in self.flat:
            self.flat.add(number)

    def _conv(self, number: int, operation: Operation) -> None:
        (source,) = operation.inputs
        window = operation.window
        assert window is not None  # of a convolution
        weight, *bias = operation.values
        if source in self.flat:
            if window.kernel != (1, 1) or window.groups != 1:
                raise Unknown("convolution of one axis")
            self._product(number, weight.reshape(weight.shape[:2]), bias)
            return
        before = self.operations[source]
        top, left, bottom, right = before.pads if before.kind == "pad" else window.pads
        if before.kind == "pad" and any(window.pads):
            raise Unknown("two paddings")
        (height, width), (down, along) = window.kernel, window.stride
        fields = (
            f"0={len(weight)} 1={width} 11={height} 2={window.dilation[1]} 12={window.dilation[0]} "
            f"3={along} 13={down} 4={left} 14={top} 15={right} 16={bottom} 5={len(bias)} 6={weight.size}"
        )
        kind = "ConvolutionDepthWise" if window.groups > 1 else "Convolution"
        fields += f" 7={window.groups}" if window.groups > 1 else ""
        self._weighted(kind, number, fields, weight, bias)

    def _linear(self, number: int, operation: Operation) -> None:
        if operation.inputs[0] not in self.flat:
            raise Unknown("linear layer of several axes")
        weight, *bias = operation.values
        following = self._only_reader(number)
        if following is not None and self.operations[following].kind == "norm":
            norm = self.operations[following]
            weight, *bias = folded(weight, bias[0] if bias else None, norm.values, norm.eps)
            self._product(number, weight, bias, after=following)
            self.skipped.add(following)
            return
        self._product(number, weight, bias)

    def _product(
        self, number: int, weight: "NDArray[Any]", bias: "list[NDArray[Any]]", after: int | None = None
    ) -> None:
        fields = f"0={len(weight)} 1={len(bias)} 2={weight.size}"
        self._weighted("InnerProduct", number, fields, weight, bias, after)

    def _weighted(
        self,
        kind: str,
        number: int,
        fields: str,
        weight: "NDArray[Any]",
        bias: "list[NDArray[Any]]",
        after: int | None = None,
    ) -> None:
        """Write a product, with its batch norm `after`, and with the activation that is fused into it."""
        last = number if after is None else after
        following = self._only_reader(last)
        fused = "" if following is None else _FUSED.get(self.operations[following].kind, "")
        self._layer(kind, number, list(self.operations[number].inputs), fields + fused)
        self.weights += [
            _PLAIN,
            weight.astype("<f4").tobytes(),
            *(each.astype("<f4").tobytes() for each in bias),
        ]
        made = [
            number,
            *([after] if after is not None else []),
            *([following] if fused and following else []),
        ]
        for each in made:
            self.blob[each] = self.blob[number]
            if kind == "InnerProduct":
                self.flat.add(each)
        if fused and following:
            self.skipped.add(following)

    def _only_reader(self, number: int) -> int | None:
        """Return the operation that alone reads the output of another one."""
        if self.readers[number] != 1:
            return None
        return next(n for n, operation in enumerate(self.operations) if number in operation.inputs)

    def _layer(self, kind: str, number: int, inputs: list[int], fields: str) -> None:
        path = self.operations[number].scope.replace("/", ".").strip(".")
        name = f"{len(self.layers)}.{path}" if number else "in0"
        blob = self.blob[number] = self.count
        self.count += 1
        self.layers.append((kind, name, [self.blob[each] for each in inputs], [blob], fields))


def _named(blob: int, last: int) -> str:
    return "in0" if blob == 0 else "out0" if blob == last else str(blob)


def _line(kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str], fields: str) -> str:
    ends = " ".join([str(len(inputs)), str(len(outputs)), *inputs, *outputs])
    return f"{kind:<24} {name:<24} {ends} {fields}".rstrip()
