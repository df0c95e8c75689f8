"""Joining of a runtime's operators to the layers of a graph."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ..device.protocol import RuntimeOp
from ..graph.graph import Graph, Layer
from ..graph.ops import OPS, Op
from ..graph.parts import BACKBONE, NET, backbone_blocks, module_path, part_layers
from ..record.target import Target
from ..record.timing import Joined, Operator

_OWN: Final = r"reorder|transpose|raster|copy|dim_order|reshape|flatten|permute|convert|parameter|result"
"""Names of operators that run no layer."""


_LAYOUT: Final = re.compile("reorder|transpose|permute|dim_order", re.IGNORECASE)


def changes_layout(operator: Operator) -> bool:
    """Return True if an operator only rearranges a tensor."""
    return not operator.layer and bool(_LAYOUT.search(operator.kind))


def _class(op: Op) -> str:
    """Return the class in which an operator and a layer must agree; "" for views.

    It is "weighted" for products, the operation's name if it is elementwise, else its kind.
    """
    if op.weighted:
        return "weighted"
    return {"elementwise": op.name, "view": "", "other": ""}.get(op.kind, op.kind)


_PATTERNS: Final = (("", _OWN), *((_class(op), op.runtime) for op in OPS.values() if op.runtime))
_CLASSES: Final = tuple(dict.fromkeys(name for name, _ in _PATTERNS if name))


class _Join:
    """Operators in execution order, each joined to at most one layer."""

    def __init__(self, layers: Sequence[Layer], ops: Sequence[RuntimeOp]) -> None:
        self.layers, self.ops = layers, ops
        self.joined: dict[int, tuple[Layer, Joined]] = {}
        self.taken: set[str] = set()

    def take(self, op: int, layer: Layer, how: Joined) -> None:
        self.joined[op] = (layer, how)
        self.taken.add(layer.name)

    def left(self, kind: str) -> tuple[list[int], list[Layer]]:
        ops = [n for n, op in enumerate(self.ops) if n not in self.joined and class_of(op) == kind]
        left = (layer for layer in self.layers if layer.name not in self.taken)
        return ops, [layer for layer in left if _class(layer.operation) == kind]


def join(graph: Graph, part: str, ops: Sequence[RuntimeOp]) -> list[tuple[RuntimeOp, Layer | None, Joined]]:
    """Return each operator with its layer, and how they were joined.

    Operators are joined by name (the module's path), then by class and output shape, since fusion renames
    them, then by their order within the class.
    """
    paths = inner_paths(graph, part)
    joining = _Join(list(paths.values()), ops)
    for number, op in enumerate(ops):
        if class_of(op) and (layer := _by_name(op, paths, joining)):
            joining.take(number, layer, "name")
    for kind in _CLASSES:
        _by_shape(joining, kind)
        _by_order(joining, kind)
    return [(op, *joining.joined.get(n, (None, ""))) for n, op in enumerate(ops)]


def operators_of(
    graph: Graph, part: str, target: Target, ops: Sequence[RuntimeOp], variant: str = ""
) -> list[Operator]:
    """Return a runtime's operators as a run has them, joined to the layers of a part."""
    return [
        Operator(
            variant=variant,
            part=part,
            target=target,
            name=op.name,
            kind=op.kind,
            seconds=op.seconds,
            layer=layer.name if layer else "",
            joined=how,
        )
        for op, layer, how in join(graph, part, ops)
    ]


def class_of(op: RuntimeOp) -> str:
    """Return the class of layers that the operator can run; "" for none."""
    for text in (op.kind, _scope(op.name)[1]):  # the name of a BinaryOp or Subgraph contains its operator
        for name, pattern in _PATTERNS:
            if re.search(pattern, text, re.IGNORECASE):
                return name
    return ""


def inner_paths(graph: Graph, part: str) -> dict[str, Layer]:
    """Return the part's layers by their path in the part's module."""
    if part == NET:
        return {layer.name: layer for layer in graph.layers}
    if part == BACKBONE:
        return _backbone_paths(graph)
    block = graph.block(part)
    modules = block.modules if block else (module_path(graph, part),)
    paths = {}
    for layer in part_layers(graph, part):
        inside = (n for n, module in enumerate(modules) if f"{layer.name}.".startswith(f"{module}."))
        place = next(inside, None)
        if place is None:
            paths[layer.name] = layer
            continue
        path = layer.name[len(modules[place]) + 1 :]
        # Several modules in a row are timed as one Sequential, which numbers them.
        paths[path if len(modules) == 1 else f"{place}.{path}".rstrip(".")] = layer
    return paths


def _backbone_paths(graph: Graph) -> dict[str, Layer]:
    """Return the backbone's layers by their path: its blocks are timed as one Sequential."""
    blocks = [inner_paths(graph, block.name) for block in backbone_blocks(graph)]
    return {f"{n}.{path}".rstrip("."): layer for n, each in enumerate(blocks) for path, layer in each.items()}


def _by_name(op: RuntimeOp, paths: dict[str, Layer], joining: _Join) -> Layer | None:
    path, kind = _scope(op.name)
    layer = paths.get(path) or paths.get(f"{path}.{kind.lower()}".lstrip("."))
    by_layer = {known.name: known for known in paths.values()}
    wanted = class_of(op)
    weighted = wanted == "weighted"
    while layer and weighted and _class(layer.operation) != wanted:  # it has its activation's name
        layer = by_layer.get(layer.inputs[0]) if layer.inputs else None
    if layer and _class(layer.operation) == wanted and not (weighted and layer.name in joining.taken):
        return layer
    return None


def _scope(name: str) -> tuple[str, str]:
    """Split "/features/block.0/Conv_output_0" into module path and operator type."""
    path = last = kind = ""
    for scope in filter(None, name.split("/")):
        if scope[:1].isupper():
            kind = re.split(r"[_\d]", scope)[0]
            break
        joins = last and scope.startswith(f"{last}.")
        path = path + scope[len(last) :] if joins else f"{path}.{scope}".lstrip(".")
        last = scope
    return path, kind


def _by_shape(joining: _Join, kind: str) -> None:
    ops, layers = joining.left(kind)
    for number in ops:
        shape = _squeezed(joining.ops[number].out_shape)
        same = [layer for layer in layers if shape and _squeezed(layer.out_shape) == shape]
        if same:
            joining.take(number, same[0], "shape")
            layers.remove(same[0])


def _by_order(joining: _Join, kind: str) -> None:
    """Join the rest in order, if as many operators as layers are left."""
    ops, layers = joining.left(kind)
    if len(ops) == len(layers):
        for number, layer in zip(ops, layers, strict=True):
            joining.take(number, layer, "order")


def _squeezed(shape: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if shape is None else tuple(size for size in shape if size != 1)
