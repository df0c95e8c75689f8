"""Networks in TFLite files: the operations of their operators, and the layers made of them.

An operator is a product with a formula, or in the list of operators without multiply-accumulates, or
unknown: then it has no price.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from ..graph.errors import InputError, about, quote
from ..graph.graph import Geometry, Graph, Layer, Shape, Tensor
from ..graph.ops import OPS, PAD, convolution
from ..record.atomic import read_file
from .cuts import cut_blocks
from .flatbuffer import DamagedError, Network, Operator, read_network
from .names import Names, capped

_MOST_BYTES: Final = 2**31 - 1
_MOST_BEHIND: Final = 100
"""Maximum number of weights that a constant is computed from."""
_CONTROL: Final = frozenset(
    ("IF", "WHILE", "CALL_ONCE", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE")
)
_CONVERSIONS: Final = ("QUANTIZE", "DEQUANTIZE")
"""Operators that a converter adds: they are of the module before."""
_ACTIVATIONS: Final = {1: "relu", 2: "hardtanh", 3: "relu6", 4: "tanh", 5: "sign"}
"""Activations by their number in TFLite."""

_SAME: Final = 0
"""TFLite's number of the padding with which the output has the input's size, divided by the stride."""


class _Node(NamedTuple):
    """An operator with its tensors.

    title: as a message has it. shapes: of the operands, with the batch; None for one that is left out.
    stored: for each, whether it is known before the network runs.
    """

    title: str
    operator: Operator
    shapes: tuple[Shape | None, ...]
    stored: tuple[bool, ...]
    outputs: tuple[Shape, ...]

    def shape(self, place: int) -> Shape:
        """Return the shape of an operand. Raises InputError if it is left out."""
        shape = self.shapes[place] if place < len(self.shapes) else None
        if shape is None:
            raise InputError(f"{self.title}: operand {place} is missing; expected a TFLite operator")
        return shape

    def require(self, fits: object) -> None:
        """Raise InputError unless the sizes fit."""
        if not fits:
            sizes = ", ".join(
                "x".join(map(str, each)) for each in (*filter(None, self.shapes[:4]), self.outputs[0])
            )
            raise InputError(f"{self.title}: its sizes {sizes} do not fit; expected fixed sizes")

    @property
    def activation(self) -> int:
        """The number of the activation within the operator, 0 without one."""
        field = _ACTIVATION.get(self.operator.op)
        return 0 if field is None else self.operator.option(field, "b")


class _Found(NamedTuple):
    """The operation of an operator, as a Layer has it.

    weights: places of the operands that can be weights, in the order of Layer.weights; None: all that are
    learned. kernel: shape of the first of them in PyTorch's order, () if it is as in the file. then:
    operations that follow within the operator.
    """

    op: str
    geometry: Geometry | None = None
    contraction: int = 0
    known_macs: int | None = None
    weights: tuple[int, ...] | None = None
    kernel: Shape = ()
    then: tuple[str, ...] = ()


_CALLED: Final = {
    "avg_pool": "MEAN",
    "sum": "SUM",
    "max": "REDUCE_MAX",
    "min": "REDUCE_MIN",
    "prod": "REDUCE_PROD",
    "all": "REDUCE_ALL",
    "any": "REDUCE_ANY",
    "argmax": "ARG_MAX",
    "argmin": "ARG_MIN",
    "concat": "CONCATENATION PACK",
    "sigmoid": "LOGISTIC",
    "hardswish": "HARD_SWISH",
    "hardtanh": "RELU_N1_TO_1 RELU_0_TO_1",
    "pow": "POW SQUARE",
    "div": "DIV FLOOR_DIV",
    "mod": "FLOOR_MOD",
    "compare": "EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL",
    "logical": "LOGICAL_AND LOGICAL_OR LOGICAL_NOT BITWISE_XOR",
    "where": "SELECT SELECT_V2",
    "view": "RESHAPE SQUEEZE EXPAND_DIMS",
    "copy": "TRANSPOSE BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND MIRROR_PAD",
    "pad": "PAD PADV2",
    "gather": "GATHER GATHER_ND SLICE STRIDED_SLICE SPLIT SPLIT_V UNPACK SCATTER_ND DYNAMIC_UPDATE_SLICE",
    "repeat": "TILE BROADCAST_TO",
    "flip": "REVERSE_V2 REVERSE_SEQUENCE",
    "sort": "TOPK_V2",
    "fill": "FILL ZEROS_LIKE SHAPE RANK ONE_HOT",
    "embedding": "EMBEDDING_LOOKUP",
    "pixel_shuffle": "DEPTH_TO_SPACE SPACE_TO_DEPTH",
    "upsample_nearest": "RESIZE_NEAREST_NEIGHBOR",
    "upsample_bilinear": "RESIZE_BILINEAR",
}
_OWN: Final = (
    "ADD SUB MUL NEG ABS SQRT RSQRT EXP LOG SIN COS FLOOR CEIL ROUND SIGN MAXIMUM MINIMUM CUMSUM ATAN2 "
    "RELU RELU6 TANH ELU PRELU LEAKY_RELU SOFTMAX LOG_SOFTMAX CAST RANGE"
)
_NAMES: Final = {
    **{name: op for op, names in _CALLED.items() for name in names.split()},
    **{name: name.lower() for name in _OWN.split()},
}
"""Operations without multiply-accumulates, by TFLite's name."""
_ACTIVATION: Final = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "FULLY_CONNECTED", "L2_NORMALIZATION"), 0),
    "CONCATENATION": 1,
    **dict.fromkeys(("CONV_2D", "TRANSPOSE_CONV"), 3),
    **dict.fromkeys(("DEPTHWISE_CONV_2D", "CONV_3D", "CONV_3D_TRANSPOSE"), 4),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), 5),
}
"""The option that holds the activation, by operator."""
_KEEPS_NO_LAYOUT: Final = frozenset(
    (
        "RESHAPE",
        "TRANSPOSE",
        "SQUEEZE",
        "EXPAND_DIMS",
        "BATCH_MATMUL",
        "PACK",
        "UNPACK",
        "GATHER",
        "GATHER_ND",
    )
)
"""Operators after which the last axis need not be what it was."""
_SAME_ELEMENTS: Final = ("RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE", "CAST")


def _find(node: _Node) -> _Found:
    """Return the operation of an operator. Raises InputError if its sizes do not fit each other."""
    name = node.operator.op
    if rule := _RULES.get(name):
        return rule(node)
    if name in _SAME_ELEMENTS:
        node.require(prod(node.shape(0)) == prod(node.outputs[0]))
    if name == "GELU":
        return _Found("gelu_tanh" if node.operator.option(0, "B") else "gelu")
    if name == "SQUARED_DIFFERENCE":
        return _Found("sub", then=("pow",))
    if name == "ADD_N":
        return _Found("add" if len(node.shapes) == 2 else f"add_n of {len(node.shapes)}")
    known = name.lower()
    return _Found(_NAMES.get(name) or (f"tflite {known}" if known in OPS else known))


def _conv(node: _Node) -> _Found:
    given, kernel = node.shape(0), node.shape(1)
    node.require(len(given) == len(kernel) == 4 and kernel[3] and given[3] % kernel[3] == 0)
    groups = given[3] // kernel[3]
    node.require(groups and kernel[0] % groups == 0 and node.outputs[0][3:] == kernel[:1])
    geometry = _window(node, given[1:3], node.outputs[0][1:3], kernel[1:3], (2, 1), (5, 4), groups)
    op = convolution(given[3], groups, kernel[1:3])
    return _Found(op, geometry, prod(kernel[1:]), None, (1, 2), (kernel[0], kernel[3], *kernel[1:3]))


def _depthwise(node: _Node) -> _Found:
    given, kernel = node.shape(0), node.shape(1)
    node.require(len(given) == len(kernel) == 4 and given[3] and kernel[3] % given[3] == 0)
    node.require(kernel[0] == 1 and node.outputs[0][3:] == kernel[3:])
    geometry = _window(node, given[1:3], node.outputs[0][1:3], kernel[1:3], (2, 1), (6, 5), given[3])
    op = convolution(given[3], given[3], kernel[1:3])
    return _Found(op, geometry, prod(kernel[1:3]), None, (1, 2), (kernel[3], 1, *kernel[1:3]))


def _conv_3d(node: _Node) -> _Found:
    given, kernel = node.shape(0), node.shape(1)
    node.require(
        len(given) == len(kernel) == 5 and given[4] == kernel[3] and node.outputs[0][4:] == kernel[4:]
    )
    geometry = _window(node, given[1:4], node.outputs[0][1:4], kernel[:3], (1, 3, 2), (5, 7, 6))
    op = convolution(given[4], 1, kernel[:3])
    return _Found(op, geometry, prod(kernel[:4]), None, (1, 2), (kernel[4], kernel[3], *kernel[:3]))


def _transposed(node: _Node) -> _Found:
    kernel, given, out = node.shape(1), node.shape(2), node.outputs[0]
    node.require(len(given) == len(kernel) == len(out) == 4 and (out[3], given[3]) == (kernel[0], kernel[3]))
    geometry = _window(node, out[1:3], given[1:3], kernel[1:3], (2, 1))
    macs = prod(given) * prod(kernel[:3])
    return _Found("conv_transpose", geometry, 0, macs, (1, 3), (kernel[3], kernel[0], *kernel[1:3]))


def _transposed_3d(node: _Node) -> _Found:
    kernel, given, out = node.shape(1), node.shape(2), node.outputs[0]
    node.require(len(given) == len(kernel) == len(out) == 5 and (out[4], given[4]) == kernel[3:])
    geometry = _window(node, out[1:4], given[1:4], kernel[:3], (1, 3, 2), (5, 7, 6))
    macs = prod(given) * prod(kernel[:4])
    return _Found("conv_transpose", geometry, 0, macs, (1, 3), (kernel[4], kernel[3], *kernel[:3]))


def _pool(op: str) -> Callable[[_Node], _Found]:
    def rule(node: _Node) -> _Found:
        given, out = node.shape(0), node.outputs[0]
        node.require(len(given) == len(out) == 4 and given[3] == out[3])
        kernel = (node.operator.option(4), node.operator.option(3))
        return _Found(op, _window(node, given[1:3], out[1:3], kernel, (2, 1)))

    return rule


def _window(
    node: _Node,
    sides: Shape,
    out: Shape,
    kernel: Shape,
    strides: tuple[int, ...],
    dilations: tuple[int, ...] = (),
    groups: int = 1,
) -> Geometry:
    """Return the window that reads `sides` and writes `out`. strides, dilations: the options they are in."""
    stride = tuple(node.operator.option(field) for field in strides)
    dilation = tuple(node.operator.option(field, default=1) for field in dilations) or (1,) * len(kernel)
    node.require(min((*kernel, *stride, *dilation)) > 0 and len(out) == len(sides))
    same = node.operator.option(0, "b") == _SAME
    padding = []
    for i, o, k, s, d in zip(sides, out, kernel, stride, dilation, strict=True):
        reach = d * (k - 1) + 1
        node.require(o == (-(-i // s) if same else (i - reach) // s + 1))
        total = max(0, (o - 1) * s + reach - i) if same else 0
        padding.append((total // 2, total - total // 2))
    return Geometry(kernel, stride, tuple(padding), dilation, groups)


def _linear(node: _Node) -> _Found:
    given, kernel = prod(node.shape(0)), node.shape(1)
    node.require(len(kernel) == 2 and kernel[1] and given % kernel[1] == 0)
    node.require(prod(node.outputs[0]) == given // kernel[1] * kernel[0])
    return _Found("linear" if node.stored[1] else "matmul", None, kernel[1], None, (1, 2, 0))


def _matmul(node: _Node) -> _Found:
    first, second, out = node.shape(0), node.shape(1), node.outputs[0]
    node.require(min(len(first), len(second), len(out)) > 1)
    rows, depth = first[-2:] if not node.operator.option(0, "B") else first[:-3:-1]
    height, columns = second[-2:] if not node.operator.option(1, "B") else second[:-3:-1]
    node.require(depth == height and out[-2:] == (rows, columns))
    op = "linear" if node.stored[1] and len(second) == 2 else "matmul"
    return _Found(op, None, depth, None, (1, 0), (*second[:-2], columns, height))


def _recurrent(op: str) -> Callable[[_Node], _Found]:
    """Each step multiplies by all matrices that are stored: kernels and a projection."""

    def rule(node: _Node) -> _Found:
        pairs = zip(node.shapes, node.stored, strict=True)
        elements = sum(prod(shape) for shape, stored in pairs if stored and shape and len(shape) == 2)
        macs = prod(node.shape(0)[:-1]) * elements
        return _Found(op, None, 0, macs, tuple(range(1, len(node.shapes))))

    return rule


_RULES: Final[dict[str, Callable[[_Node], _Found]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONV_3D": _conv_3d,
    "TRANSPOSE_CONV": _transposed,
    "CONV_3D_TRANSPOSE": _transposed_3d,
    "AVERAGE_POOL_2D": _pool("avg_pool"),
    "MAX_POOL_2D": _pool("max_pool"),
    "FULLY_CONNECTED": _linear,
    "BATCH_MATMUL": _matmul,
    **dict.fromkeys(
        ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"), _recurrent("lstm")
    ),
    **dict.fromkeys(("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"), _recurrent("rnn")),
}
"""Operators whose sizes matter: products and pools."""
_SPATIAL: Final = frozenset(
    (
        *(name for name in _RULES if "CONV" in name or "POOL" in name),
        *("L2_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
        *("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "LOCAL_RESPONSE_NORMALIZATION", "MIRROR_PAD"),
    )
)
"""Operators of images, whose channels are last."""


def read_tflite(path: Path, where: str, name: str) -> Graph:
    """Return the graph of a TFLite file, called `name`. Raises InputError about `where`.

    Layers are the operators of its first subgraph; an activation within an operator is a layer of its own.
    Shapes of images are (C, H, W). Parameters are what the products multiply and add, and other stored
    tensors of fractional or quantized numbers that are no scalars.
    """
    data = read_file(path, _MOST_BYTES, "expected a TFLite file")
    with about(where):
        try:
            return _Builder(read_network(data)).graph(name)
        except InputError:
            raise
        except DamagedError as error:
            raise InputError(f"is damaged or no TFLite file: {error}") from None
        except (ValueError, ArithmeticError, LookupError, MemoryError, RecursionError):
            raise InputError("is damaged or no TFLite file") from None


class _Builder:
    """Turns operators into layers. named: the graph's name of each tensor that depends on an input."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.images = _images(network)
        self.needed = {n for each in network.operators for n in each.operands}.union(network.outputs)
        self.reads = Counter(n for each in network.operators for n in each.operands)
        self.paths = Counter(map(self._path, network.operators))
        self.names, self.weight_names = Names(), Names()
        self.named: dict[int, str] = {}
        self.storage: dict[str, str] = {}
        self.homes: dict[str, str] = {}
        self.stored: dict[int, Tensor] = {}
        self.layers: list[Layer] = []
        self.constants: list[Layer] = []
        self.behind: dict[int, tuple[Tensor, ...]] = {}
        """Weights that a constant is computed from."""

    def graph(self, name: str) -> Graph:
        """Return the graph of all operators. Raises InputError."""
        inputs = tuple(self._input(n) for n in self.network.inputs)
        for operator in self.network.operators:
            self._take(operator)
        for n in self.network.outputs:
            if n not in self.named and not self._is_constant(n):
                raise InputError(f"no operator writes the output {quote(self.network.tensors[n].name)}")
        outputs = tuple(dict.fromkeys(self.named[n] for n in self.network.outputs if n in self.named))
        if not self.layers or not outputs:
            raise InputError("no operator reads an input; expected a network")
        layers = _padded(self.layers, outputs)
        return Graph(name, inputs, outputs, cut_blocks(layers, outputs), tuple(self.constants))

    def _input(self, n: int) -> Tensor:
        tensor = self.network.tensors[n]
        what = f"input {quote(tensor.name)}"
        if n in self.named or tensor.buffer:
            raise InputError(f"{what} is there twice, or has a value; expected inputs of a network")
        if not tensor.known:
            raise InputError(f"{what} has no fixed size; convert it with fixed sizes")
        if len(tensor.shape) > 3 and tensor.shape[0] > 1:
            raise InputError(f"{what} has a batch of {tensor.shape[0]}; expected 1")
        self.named[n] = self.names.unique(tensor.name)
        self.storage[self.named[n]] = self.named[n]
        self.homes[self.named[n]] = ""
        return Tensor(self.named[n], self._shape(n))

    def _take(self, operator: Operator) -> None:
        """Add the layers of an operator: for its first output, others that are read, and activations."""
        node = self._checked(operator)
        found = _find(node)
        weights = self._weights(node, found)
        running = tuple(dict.fromkeys(self.named[n] for n in operator.operands if n in self.named))
        layer = self._layer(operator, found, weights, running)
        if not running:
            if len(weights) > _MOST_BEHIND:
                raise InputError(f"{node.title} depends on {len(weights)} weights; expected {_MOST_BEHIND}")
            self.behind |= dict.fromkeys(operator.outputs, weights)
            if layer.operation.kind != "view":
                self.constants.append(layer)
            return
        first, *others = operator.outputs
        self._add(first, last := layer)
        source = running if layer.op == "gather" else (layer.name,)
        for n in others:
            if n in self.needed:
                name = self.names.unique(self.network.tensors[n].name)
                self._add(n, Layer(name, "gather", source, self._shape(n), layer.path, name))
        for op in (*found.then, _ACTIVATIONS.get(node.activation, "")):
            if op:
                name, source = self.names.unique(f"{layer.name}.{op}"), (last.name,)
                last = Layer(name, op, source, layer.out_shape, layer.path, layer.storage)
                self._add(first, last)

    def _add(self, n: int, layer: Layer) -> None:
        self.layers.append(layer)
        self.named[n] = layer.name
        self.storage[layer.name] = layer.storage
        self.homes[layer.name] = layer.path

    def _checked(self, operator: Operator) -> _Node:
        """Return an operator with its tensors. Raises InputError if it does not fit those before it."""
        tensors = self.network.tensors
        what = f"operator {quote(tensors[operator.outputs[0]].name)} ({operator.op[:40]})"
        if operator.op in _CONTROL:
            raise InputError(f"{what} runs another subgraph; expected a network without control flow")
        for n in operator.operands:
            if n >= 0 and n not in self.named and not self._is_constant(n):
                raise InputError(f"{what} reads {quote(tensors[n].name)}, which nothing before it writes")
        constant = not any(n in self.named for n in operator.operands)
        for n in operator.outputs:
            if n in self.named or n in self.behind or tensors[n].buffer:
                raise InputError(f"{what} writes {quote(tensors[n].name)}, which has a value already")
            if not tensors[n].known and not constant:
                raise InputError(f"{what} has no fixed size; convert it with fixed sizes")
        shapes = tuple(tensors[n].shape if n >= 0 else None for n in operator.operands)
        stored = tuple(n >= 0 and n not in self.named for n in operator.operands)
        return _Node(what, operator, shapes, stored, tuple(tensors[n].shape for n in operator.outputs))

    def _is_constant(self, n: int) -> bool:
        tensor = self.network.tensors[n]
        return tensor.constant or tensor.variable or n in self.behind

    def _layer(
        self, operator: Operator, found: _Found, weights: tuple[Tensor, ...], running: tuple[str, ...]
    ) -> Layer:
        first, op = operator.outputs[0], found.op
        title, path = self.network.tensors[first].name, self._path(operator)
        alone = self.paths[path] == 1 or (op in OPS and OPS[op].weighted)
        if operator.op in _CONVERSIONS and running:
            path, alone = self.homes[running[0]], False
        if path:
            title = path if alone else f"{path}.{op}"
        elif _module_path(title) is not None:
            title = op
        name = self.names.unique(title)
        owner = name
        if op in OPS and OPS[op].kind == "view" and op != PAD and running:
            owner = self.storage[running[0]]
        geometry, contraction, macs = found.geometry, found.contraction, found.known_macs
        shape = self._shape(first)
        return Layer(name, op, running, shape, path, owner, "", geometry, contraction, weights, macs)

    def _path(self, operator: Operator) -> str:
        """Return the path of the module of a product's weights, or of the output; "" if not known."""
        weight = operator.operands[1] if operator.op in _RULES and len(operator.operands) > 1 else -1
        tensors = self.network.tensors
        path = _module_path(tensors[weight].name) if self.reads[weight] == 1 and weight >= 0 else ""
        return path or _module_path(tensors[operator.outputs[0]].name) or ""

    def _weights(self, node: _Node, found: _Found) -> tuple[Tensor, ...]:
        """Return the weights that an operator reads, those behind constants included."""
        operands = node.operator.operands
        weights: list[Tensor] = []
        for place in range(len(operands)) if found.weights is None else found.weights:
            n = operands[place] if place < len(operands) else -1
            if n < 0 or n in self.named:
                continue
            tensor = self.network.tensors[n]
            if n in self.behind:
                here = self.behind[n]
            else:
                product = found.weights is not None and tensor.buffer
                here = (self._tensor(n),) if tensor.buffer and (product or tensor.learned) else ()
            if found.kernel and not weights and len(here) == 1:
                here = (here[0]._replace(shape=found.kernel),)
            weights += here
        return tuple({tensor.name: tensor for tensor in weights}.values())

    def _tensor(self, n: int) -> Tensor:
        """Return a stored tensor; those of one buffer are the same."""
        tensor = self.network.tensors[n]
        if tensor.buffer not in self.stored:
            name = self.weight_names.unique(_module_path(tensor.name) or tensor.name)
            self.stored[tensor.buffer] = Tensor(name, tensor.shape)
        return self.stored[tensor.buffer]

    def _shape(self, n: int) -> Shape:
        """Return a tensor's shape without the batch, with an image's channels first."""
        shape = self.network.tensors[n].shape
        if n in self.images:
            shape = (shape[0], shape[-1], *shape[1:-1])
        return shape[1:] if shape[:1] == (1,) else shape


def _images(network: Network) -> set[int]:
    """Return the tensors with channels last: those of spatial operators, and what keeps their layout."""
    beside: dict[int, set[int]] = {}
    waiting: list[int] = []
    for operator in network.operators:
        kept = [n for n in _operands(operator) if len(network.tensors[n].shape) > 3]
        if operator.op in _SPATIAL:
            waiting += kept
        if operator.op not in _KEEPS_NO_LAYOUT and kept:
            for n in kept:
                beside.setdefault(n, set()).add(kept[-1])
                beside.setdefault(kept[-1], set()).add(n)
    found: set[int] = set()
    while waiting:
        n = waiting.pop()
        if n not in found:
            found.add(n)
            waiting += beside.get(n, ())
    return found


def _operands(operator: Operator) -> Iterator[int]:
    """Yield the operands but for the weights of products, and the outputs."""
    weight = 1 if operator.op in _SPATIAL else None
    yield from (n for place, n in enumerate(operator.operands) if n >= 0 and place != weight)
    yield from operator.outputs


def _padded(layers: list[Layer], outputs: tuple[str, ...]) -> list[Layer]:
    """Make a padding that anything but a convolution reads a copy, since no runtime pads inside that."""
    readers: dict[str, list[str]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer.operation.kind)
    return [
        replace(layer, op="copy")
        if layer.op == PAD and (readers.get(layer.name) != ["conv"] or layer.name in outputs)
        else layer
        for layer in layers
    ]


def _module_path(name: str) -> str | None:
    """Return the path of the module in a name that litert-torch wrote, None for another name.

    It is features.0 for "a.Net/torch.nn.Sequential_features/torch.nn.Conv2d_0;1", and "" for "a.Net;1".
    """
    modules = [each.split("/") for each in name.split(";")[:-1] if each]
    if not modules or not all("." in part for parts in modules for part in parts):
        return None
    paths = (".".join(re.sub(r"^.*\._?[^_.]*_", "", part) for part in parts[1:]) for parts in modules)
    return capped(next(filter(None, paths), ""))
