"""What a runtime says it spent per operator, joined to our layers."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from ..arch.layers import ELEMENTWISE, WEIGHTED, Graph, Layer, Shape
from .run import NET, Joined, part_layers

_Class = Literal["weighted", "norm", "pool", "add", "mul", "activation", ""]

_KINDS: Final[tuple[tuple[_Class, str], ...]] = (
    ("", r"reorder|transpose|raster|copy|dim_order|reshape|flatten|permute|convert|parameter|result"),
    ("weighted", r"conv|gemm|fully.?connected|matmul|linear|inner.?product|addmm"),
    ("norm", r"batch.?norm"),
    ("pool", r"pool|mean|reduce"),
    ("activation", r"relu|swish|sigmoid|silu|clamp|clip|hardtanh|minimum"),
    ("mul", r"mul"),
    ("add", r"add"),
)


class Op(NamedTuple):
    """An operator as a runtime names it. kind: its type there; out_shape: of one image, if told."""

    name: str
    kind: str
    seconds: float
    out_shape: Shape | None = None


class _Join:
    """Operators in the order in which they ran, each with at most one layer."""

    def __init__(self, layers: Sequence[Layer], ops: Sequence[Op]) -> None:
        self.layers, self.ops = layers, ops
        self.found: dict[int, tuple[Layer, Joined]] = {}
        self.taken: set[str] = set()

    def take(self, op: int, layer: Layer, how: Joined) -> None:
        self.found[op] = (layer, how)
        self.taken.add(layer.name)

    def left(self, kind: _Class) -> tuple[list[int], list[Layer]]:
        ops = [n for n, op in enumerate(self.ops) if n not in self.found and class_of(op) == kind]
        layers = [layer for layer in self.layers if layer.name not in self.taken and _class(layer) == kind]
        return ops, layers


def join(graph: Graph, part: str, ops: Sequence[Op]) -> list[tuple[Op, Layer | None, Joined]]:
    """Each operator with its layer and how it was found: by its name (the module's path), by its kind
    and output shape where fusion renamed it, or by its place among those of its kind.
    """
    paths = _paths(graph, part)
    joining = _Join(list(paths.values()), ops)
    for number, op in enumerate(ops):
        if class_of(op) and (layer := _by_name(op, paths, joining)):
            joining.take(number, layer, "name")
    for kind in ("weighted", "norm", "pool", "mul", "add", "activation"):
        _by_shape(joining, kind)
        _by_order(joining, kind)
    return [(op, *joining.found.get(n, (None, ""))) for n, op in enumerate(ops)]


def class_of(op: Op) -> _Class:
    """What kind of layer the operator can be; "" for what is the runtime's own, as a change of layout."""
    for text in (op.kind, _scope(op.name)[1]):  # a BinaryOp or Subgraph has its operator in its name
        for found, pattern in _KINDS:
            if re.search(pattern, text, re.IGNORECASE):
                return found
    return ""


def _class(layer: Layer) -> _Class:
    if layer.op in WEIGHTED:
        return "weighted"
    if layer.op in ELEMENTWISE:
        return "activation"
    kinds: dict[str, _Class] = {
        "avg_pool": "pool", "add": "add", "mul": "mul", "batch_norm": "norm",
    }  # fmt: skip
    return kinds.get(layer.op, "")


def _paths(graph: Graph, part: str) -> dict[str, Layer]:
    """The part's layers by their path in the module that the part is."""
    if part == NET:
        return {layer.name: layer for layer in graph.layers}
    if part not in graph.blocks:
        return {layer.name[len(part) + 1 :]: layer for layer in part_layers(graph, part)}
    found = {}
    for layer in graph.layers:
        if layer.block == part:
            first, _, rest = layer.name.partition(".")
            path = rest.partition(".")[2] if first == "features" else rest
            found[_in_head(layer.name, path) if part == "head" else path] = layer
    return found


def _in_head(name: str, path: str) -> str:
    """The head is a Sequential of the last convolution, the pooling and the flattening."""
    return {"avgpool": "1", "flatten": "2"}.get(name, f"0.{path}")


def _by_name(op: Op, paths: dict[str, Layer], joining: _Join) -> Layer | None:
    path, kind = _scope(op.name)
    layer = paths.get(path) or paths.get(f"{path}.{kind.lower()}".lstrip("."))
    by_layer = {known.name: known for known in paths.values()}
    wanted = class_of(op)
    while layer and wanted == "weighted" and _class(layer) != "weighted":  # it took its activation's name
        layer = by_layer.get(layer.inputs[0]) if layer.inputs else None
    if layer and _class(layer) == wanted and (wanted != "weighted" or layer.name not in joining.taken):
        return layer
    return None


def _scope(name: str) -> tuple[str, str]:
    """Module path and operator type of "/features/features.4/block/block.0/block.0.0/Conv_output_0"."""
    path = last = kind = ""
    for scope in filter(None, name.split("/")):
        if scope[:1].isupper():
            kind = re.split(r"[_\d]", scope)[0]
            break
        joins = last and scope.startswith(f"{last}.")
        path = path + scope[len(last) :] if joins else f"{path}.{scope}".lstrip(".")
        last = scope
    return path, kind


def _by_shape(joining: _Join, kind: _Class) -> None:
    ops, layers = joining.left(kind)
    for number in ops:
        shape = _squeezed(joining.ops[number].out_shape)
        same = [layer for layer in layers if shape and _squeezed(layer.out_shape) == shape]
        if same:
            joining.take(number, same[0], "shape")
            layers.remove(same[0])


def _by_order(joining: _Join, kind: _Class) -> None:
    """Where as many operators as layers are left, they are the same in the same order."""
    ops, layers = joining.left(kind)
    if len(ops) == len(layers):
        for number, layer in zip(ops, layers, strict=True):
            joining.take(number, layer, "order")


def _squeezed(shape: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if shape is None else tuple(size for size in shape if size != 1)
