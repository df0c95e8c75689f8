"""Recover the layer table of a graph that was captured elsewhere, if it is a MobileNetV3 or a relative."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, NoReturn

from msgspec.structs import replace

from ..graph.errors import InputError, quote
from ..graph.graph import Graph, Layer
from ..graph.ops import PAD
from .expand import expand, image_size
from .fields import NONE
from .table import HeadConv, LastLayer, Row, Table, squeeze_width

_GATES: Final = ("hardsigmoid", "hardsigmoid_relu6", "sigmoid")
_OPTIONS: Final = ("se_form", "se_bias", "se_activation", "se_gate", "se_place", "project_activation")
"""Options that are of the table where most rows agree."""


def recover(graph: Graph) -> Table:
    """Return a table that expands to the products of `graph`: the same shapes, MACs and weights.

    The parameters have the graph's names if those are of a release. Dropout and batch norm's eps are not in a
    graph; they are the table's usual ones. Raises InputError with the block that no table can say.
    """
    if len(graph.inputs) != 1 or len(graph.inputs[0].shape) != 3:
        raise InputError(f"{quote(graph.name)}: has no single image as input, so no layer table says it")
    try:
        table = _with_common_options(_read(graph))
    except _RefusedError:
        raise
    except InputError as error:
        raise InputError(f"{graph.name}: no layer table says it: {error}") from None
    _require_same(graph, table)
    return _with_names(table, graph)


def _with_names(table: Table, graph: Graph) -> Table:
    """Return the table with the names of the release that the graph's parameters have, if there is one."""
    sizes: dict[str, dict[str, None]] = {}
    for layer in graph.layers:
        if match := _TIMM_ROW.match(layer.name):
            sizes.setdefault(match[1], {})[match[2]] = None
    # In timm the convolutions of the head may be stages of their own, after those of the rows.
    stages = tuple(map(len, sizes.values()))
    inside = [n for n in range(1, len(stages) + 1) if sum(stages[:n]) == len(table.rows)]
    candidates: list[dict[str, Any]] = [{}, {"names": "torchvision-v2"}, {"names": "timm"}]
    candidates += [{"names": "timm", "stages": stages[:n]} for n in inside[:1]]
    wanted = _weight_names(graph)
    for each in candidates:
        with suppress(InputError):  # timm's names are not for every table
            named = replace(table, **each)
            if _weight_names(expand(named, image_size(graph.inputs[0].shape[1:]))) == wanted:
                return named
    return table


_TIMM_ROW: Final = re.compile(r"blocks\.([0-9]+)\.([0-9]+)\.")


def _weight_names(graph: Graph) -> list[str]:
    return sorted(weight.name for layer in graph.layers for weight in layer.weights)


class _RefusedError(InputError):
    """A refusal that names a block."""


def _read(graph: Graph) -> Table:
    """Read the layers into a table in which each row has all its options."""
    reader = _Reader(graph)
    stem = reader.conv()
    stem_activation = reader.activation()
    if stem is None:
        reader.refuse("does not begin with a convolution")
    rows, width = [], stem.out
    while reader.begins_row():
        row = reader.row(width)
        rows.append(row)
        width = row.out
    if not rows:
        reader.refuse("is no inverted residual block")
    others: dict[str, Any] = {**reader.tail(), **({"padding": "same"} if reader.same else {})}
    return Table(
        name=graph.name,
        rows=tuple(rows),
        channels=graph.inputs[0].shape[0],
        stem=stem.out,
        stem_kernel=stem.kernel,
        stem_stride=stem.stride,
        stem_activation=stem_activation,
        **others,
    )


class _Conv(NamedTuple):
    """A convolution. norm: batch norm follows, or was folded into its bias."""

    layer: Layer
    out: int
    kernel: int
    stride: int | tuple[int, int]
    dilation: int
    norm: bool
    bias: bool


class _Reader:
    """Reads the layers in execution order. at: the next one; views but paddings are left out."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers = [each for each in graph.layers if each.operation.kind != "view" or each.op == PAD]
        self.blocks = {layer.name: block.name for block, layer in graph.placed()}
        self.folded = not any(layer.op == "batch_norm" for layer in graph.layers)
        self.source = {
            layer.name: layer.inputs[0] for layer in graph.layers if layer.operation.kind == "view"
        }
        self.at = 0
        self.same = False
        self.last = graph.inputs[0].name

    def refuse(self, what: str) -> NoReturn:
        """Raise InputError about the block of the next layer."""
        layer = self.layers[min(self.at, len(self.layers) - 1)]
        raise _RefusedError(
            f"{self.graph.name}: block {self.blocks[layer.name]} {what}; no layer table says it"
        )

    def peek(self, ahead: int = 0) -> Layer | None:
        """Return a layer ahead of the next one, None behind the end."""
        return self.layers[self.at + ahead] if self.at + ahead < len(self.layers) else None

    def take(self) -> Layer:
        """Return the next layer, and go on. Raises InputError if it does not read the one before."""
        layer = self.peek()
        if layer is None:
            self.at -= 1
            self.refuse("is the last, where more is expected")
        self.at += 1
        self.last = layer.name
        return layer

    def origin(self, name: str) -> str:
        """Return what a tensor is a view of."""
        while name in self.source:
            name = self.source[name]
        return name

    def conv(self) -> _Conv | None:
        """Read a convolution with its padding and batch norm; None if none is next."""
        pads = (following := self.peek()) is not None and following.op == PAD
        layer = self.peek(pads)
        if layer is None or layer.operation.kind != "conv" or layer.geometry is None:
            return None
        window = layer.geometry
        if len(window.kernel) != 2 or len({*window.kernel}) > 1 or len({*window.dilation}) > 1:
            self.refuse("has a kernel that is not square")
        self.same |= pads or any(before != after for before, after in window.padding)
        self.at += pads
        self.take()
        norm = self._norm()
        stride: Any = window.stride[0] if len({*window.stride}) == 1 else window.stride
        bias = len(layer.weights) > 1
        folded = self.folded and bias
        return _Conv(
            layer,
            layer.out_shape[0],
            window.kernel[0],
            stride,
            window.dilation[0],
            norm or folded,
            bias and not folded,
        )

    def _norm(self) -> bool:
        found = (layer := self.peek()) is not None and layer.op == "batch_norm"
        if found:
            self.take()
        return found

    def activation(self) -> str:
        """Read an activation that a row can have; "none" if none is next."""
        layer = self.peek()
        if layer is None or layer.operation.kind != "activation":
            return NONE
        if not layer.operation.code:
            self.refuse(f"has the activation {layer.op}")
        return self.take().operation.code

    def begins_row(self) -> bool:
        """Return True if the next layers begin an inverted residual block, not the head."""
        at, self_last, same = self.at, self.last, self.same
        first = self.conv()
        activates = self.activates()
        self.at += activates
        second = self.peek()
        if second is not None and second.op == PAD:
            second = self.peek(1)
        self.at, self.last, self.same = at, self_last, same
        if first is None:
            return False
        if first.layer.op == "depthwise" or (first.layer.op == "conv" and first.kernel > 1):
            return True
        if second is not None and second.op == "depthwise":
            return True
        # A fused row without expansion is its projection alone; in the head no k×k convolution follows.
        return first.norm and (not activates or self._is_before_rows())

    def activates(self) -> bool:
        """Return True if an activation is next."""
        return (layer := self.peek()) is not None and layer.operation.kind == "activation"

    def _is_before_rows(self) -> bool:
        """Return True if a k×k convolution is behind the next layer."""
        later = (layer.geometry for layer in self.layers[self.at + 1 :] if layer.operation.kind == "conv")
        return any(window is not None and max(window.kernel) > 1 for window in later)

    def row(self, width: int) -> Row:
        """Read an inverted residual block of `width` input channels."""
        given, first = self.last, self._some_conv()
        fields: dict[str, Any] = {}
        spatial, activation = first, self.activation()
        se: dict[str, Any] = {}
        following = self.peek(int((pad := self.peek()) is not None and pad.op == PAD))
        if first.layer.op == "pointwise" and (following is None or following.op != "depthwise"):
            return self._projection(first, activation, given, width)
        if first.layer.op == "pointwise":
            if first.out == width:
                fields["expand_conv"] = True
            spatial = self._some_conv()
            if spatial.layer.op != "depthwise":
                self.refuse("has no depthwise convolution")
            se, inner = self._around(self.activation)
            if inner != activation:
                self.refuse(f"has the activations {activation} and {inner}")
        elif first.layer.op == "conv":
            fields |= {"conv": "fused", **({"expand_conv": True} if first.out == width else {})}
            se = self._squeeze("after-depthwise")
        elif activation == NONE:
            se = self._squeeze("before-activation")
            activation = self.activation()
            se = se or self._squeeze("after-depthwise")
        else:
            se = self._squeeze("after-depthwise")
        if activation == NONE:
            self.refuse("has no activation before its projection")
        project = self._some_conv()
        if project.layer.op != "pointwise" or not project.norm or not spatial.norm or not first.norm:
            self.refuse("is no inverted residual with batch norm")
        fields["project_activation"] = self.activation()
        se = se or self._squeeze("after-project")
        adds = self._adds(given)
        could = project.out == width and spatial.stride == 1
        return Row(
            spatial.out, project.out, spatial.kernel, spatial.stride, activation=activation,
            dilation=spatial.dilation, identity=adds or not could, conv_bias=first.bias or None,
            **{"se": False, **se}, **fields,
        )  # fmt: skip

    def _projection(self, conv: _Conv, activation: str, given: str, width: int) -> Row:
        """Return the row of a fused block without expansion, which is one convolution."""
        adds = self._adds(given)
        identity = adds or conv.out != width
        return Row(
            width,
            conv.out,
            3,
            1,
            se=False,
            activation=activation if activation != NONE else "RE",
            identity=identity,
            conv="fused",
            project_activation=activation,
        )

    def _some_conv(self) -> _Conv:
        found = self.conv()
        if found is None:
            layer = self.peek()
            self.refuse(
                f"has {layer.operation.title if layer else 'nothing'} where a convolution is expected"
            )
        return found

    def _around(self, activation: Any) -> tuple[dict[str, Any], str]:
        """Read squeeze-excite before or after an activation."""
        before = self._squeeze("before-activation")
        code = activation()
        return before or self._squeeze("after-depthwise"), code

    def _squeeze(self, place: str) -> dict[str, Any]:
        """Read squeeze-excite, and return its options; {} if none is next."""
        pool = self.peek()
        if pool is None or pool.op != "avg_pool":
            return {}
        scaled = self.last
        self.take()
        reduce, inner, grow, gate, scale = (self.take() for _ in range(5))
        kinds = {reduce.operation.kind, grow.operation.kind}
        if kinds not in ({"conv"}, {"matmul"}) or gate.op not in _GATES or scale.op != "mul":
            self.refuse("has a squeeze-excite of another form")
        if self.origin(scaled) not in map(self.origin, scale.inputs):
            self.refuse("has a squeeze-excite of another tensor")
        return {
            "se": reduce.out_shape[0] if reduce.out_shape[0] > 1 else True,
            "se_form": "conv" if kinds == {"conv"} else "linear",
            "se_bias": len(reduce.weights) > 1,
            "se_activation": inner.op,
            "se_gate": gate.op,
            "se_place": place,
        }

    def _adds(self, given: str) -> bool:
        layer = self.peek()
        if layer is None or layer.op != "add":
            return False
        if self.origin(given) not in map(self.origin, layer.inputs):
            self.refuse("adds another tensor than its input")
        self.take()
        return True

    def tail(self) -> dict[str, Any]:
        """Read the head, the pool, the hidden layers and the classifier."""
        head = []
        while (conv := self.conv()) is not None:
            if conv.layer.op != "pointwise" and conv.kernel == 1:
                self.refuse("has a grouped convolution")
            head.append(HeadConv(conv.out, conv.kernel, conv.bias, conv.norm, self.activation()))
        if self.peek() is None:
            return {**_head(head), "classes": 0, "last": ()}
        if self.take().op != "avg_pool":
            self.at -= 1
            self.refuse("is no row, head or classifier")
        last = []
        while self.peek() is not None:
            last.append(self._last())
        if not last or last[-1].norm or last[-1].activation != NONE:
            self.refuse("is no classifier")
        *hidden, classifier = last
        return {
            **_head([*head, *hidden]),
            "head": tuple(head),
            "last": tuple(hidden),
            "classes": classifier.out,
            "classifier_form": classifier.form,
        }

    def _last(self) -> LastLayer:
        if (conv := self.conv()) is not None:
            return LastLayer(
                conv.out, "conv", conv.bias or self.folded, conv.norm and not self.folded, self.activation()
            )
        layer = self.take()
        if layer.op != "linear":
            self.at -= 1
            self.refuse(f"has {layer.operation.title} after the pool")
        return LastLayer(layer.out_shape[0], "linear", layer.biased, self._norm(), self.activation())


def _head(layers: Sequence[HeadConv | LastLayer]) -> dict[str, Any]:
    """Return the head and its most frequent activation."""
    codes = Counter(str(each.activation) for each in layers if each.activation != NONE)
    usual = {"head_activation": codes.most_common(1)[0][0]} if codes else {}
    return {"head": tuple(layers), **usual}


def _with_common_options(table: Table) -> Table:
    """Move what most rows have to the table, and leave out what follows from it."""
    common: dict[str, Any] = {}
    for name in _OPTIONS:
        values = Counter(value for row in table.rows if (value := getattr(row, name)) is not None)
        if values:
            common[name] = values.most_common(1)[0][0]
    table = replace(table, **common)
    rows, width = [], table.stem
    for row in table.rows:
        own = {name: None for name in _OPTIONS if getattr(row, name) in (None, common.get(name))}
        plain = replace(row, **own)
        usual = replace(plain, se=True)
        rows.append(usual if row.se and squeeze_width(table, usual, width) == row.se else plain)
        width = row.out
    return replace(table, rows=tuple(rows), head=_short(table, "head"), last=_short(table, "last"))


def _short(table: Table, field: str) -> Any:
    """Write layers with nothing but a width as that."""
    layers = []
    for each in getattr(table, field):
        usual = {"activation": None} if each.activation == table.head_activation else {}
        bias = None if each.bias == (not each.norm) else each.bias
        short = replace(each, bias=bias, **usual)
        layers.append(short.out if short == type(short)(short.out) else short)
    return layers[0] if len(layers) == 1 and isinstance(layers[0], int) else tuple(layers)


def _window(layer: Layer) -> object:
    """Return kernel, stride, dilation and groups of a convolution."""
    window = layer.geometry
    return window and (window.kernel, window.stride, window.dilation, window.groups)


def _require_same(graph: Graph, table: Table) -> None:
    """Raise InputError unless the table has the graph's products, one by one."""
    height, width = graph.inputs[0].shape[1:]
    ours = [each for each in expand(table, image_size((height, width))).layers if each.operation.weighted]
    whole = any(layer.op == "batch_norm" for layer in graph.layers)  # else it is folded into biases
    theirs = [(block, each) for block, each in graph.placed() if each.operation.weighted]
    for (block, layer), other in zip(theirs, ours, strict=False):
        if (layer.macs, layer.elements) != (other.macs, other.elements):
            raise InputError(
                f"{graph.name}: block {block.name}: {layer.name} has {layer.macs:,} MACs, "
                f"{other.macs:,} in a table; no layer table says it"
            )
        if _window(layer) != _window(other) or (whole and layer.biased != other.biased):
            raise InputError(
                f"{graph.name}: block {block.name}: {layer.name} has another window or bias than in a table; "
                "no layer table says it"
            )
    if len(ours) != len(theirs):
        raise InputError(
            f"{graph.name}: has {len(theirs)} products, {len(ours)} in a table; no layer table says it"
        )
