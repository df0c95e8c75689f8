"""Width multipliers as four releases define them. They differ by up to 12 % in MACs."""

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, cast

from msgspec.structs import replace

from .fields import Scales
from .table import Row, Table, in_widths, make_divisible, with_defaults

WidthRule = Literal["paper", "torchvision", "timm", "keras"]

Width = Callable[[int], int]
_Outer = TypeVar("_Outer")


def _paper(table: Table, multiplier: float) -> Table:
    """The table's own rule: outs × multiplier; each expansion keeps its ratio to the block's input.

    The stem, explicit widths of the head, and the layers after the pool are scaled always, above 1 only, or
    never, as the table says. For Large and Small (TF-slim): stem and head always, the rest above 1.
    """
    stem = _scaling(table, multiplier, table.stem_scales)(table.stem)
    rows = _rows(table, multiplier, stem, lambda expand, width_in, width: expand * width / width_in)
    head = _scaling(table, multiplier, table.head_scales)
    last = _scaling(table, multiplier, table.last_scales)
    return with_outer_widths(replace(table, stem=stem, rows=rows), head=head, last=last)


def _torchvision(table: Table, multiplier: float) -> Table:
    """All absolute widths × multiplier (torchvision 0.28, models/mobilenetv3.py)."""
    scaled = _scaling(table, multiplier, "always")
    rows = tuple(
        replace(row, expand=scaled(row.expand), out=scaled(row.out), se=_squeezed(table, row, multiplier))
        for row in table.rows
    )
    return with_outer_widths(replace(table, stem=scaled(table.stem), rows=rows), head=scaled, last=scaled)


def _timm(table: Table, multiplier: float) -> Table:
    """Timm 1.0 (models/mobilenetv3.py): the stem is not scaled below 0.75.

    Ratios of expansions have two decimals, the last 1×1 convolution is multiplied as a width of its own, and
    hidden layers are never scaled.
    """
    stem = table.stem if multiplier < 0.75 else _scaling(table, multiplier, "always")(table.stem)
    rows = _rows(table, multiplier, stem, lambda expand, width_in, width: round(expand / width_in, 2) * width)
    head = 6 * table.rows[-1].out if table.head is None else table.head
    scaled = _scaling(table, multiplier, "always")
    return with_outer_widths(replace(table, stem=stem, rows=rows, head=head), head=scaled, last=lambda w: w)


def _keras(table: Table, multiplier: float) -> Table:
    """Keras 3 (applications/mobilenet_v3.py): as the paper's, but the stem is never scaled."""
    return replace(_paper(replace(table, stem_scales="never"), multiplier), stem_scales=table.stem_scales)


WIDTH_RULES: Final[dict[WidthRule, Callable[[Table, float], Table]]] = {
    "paper": _paper,
    "torchvision": _torchvision,
    "timm": _timm,
    "keras": _keras,
}


def is_like_mobilenetv3(table: Table) -> bool:
    """Return True if the table says nothing else of what a width multiplier scales."""
    return (table.stem_scales, table.head_scales, table.last_scales) == ("always", "always", "above-1")


def _scaling(table: Table, multiplier: float, scales: Scales) -> Width:
    """Return the function of a width: × multiplier, rounded, or the width itself."""
    if scales == "never" or (scales == "above-1" and multiplier <= 1):
        return lambda width: width
    return lambda width: make_divisible(width * multiplier, table.divisor)


def _rows(
    table: Table, multiplier: float, stem: int, expansion: Callable[[int, int, int], float]
) -> tuple[Row, ...]:
    """Scale outs. expansion: of the unscaled expansion and input, and of the scaled input."""
    rows: list[Row] = []
    width = stem
    for row, width_in in zip(table.rows, in_widths(table), strict=True):
        # Without expansion it is the input itself, also one that the divisor does not divide.
        wide = expansion(row.expand, width_in, width)
        expand = width if row.expand == width_in else make_divisible(wide, table.divisor)
        out = make_divisible(row.out * multiplier, table.divisor)
        rows.append(replace(row, expand=expand, out=out, se=_squeezed(table, row, multiplier)))
        width = out
    return tuple(rows)


def _squeezed(table: Table, row: Row, multiplier: float) -> bool | int:
    """Scale an explicit squeezed width; the divisor does not widen a narrower network's."""
    if type(row.se) is bool:
        return row.se
    divisor = with_defaults(table, row).se_divisor or table.divisor
    scaled = max(2, make_divisible(row.se * multiplier, divisor))
    return scaled if multiplier > 1 else min(row.se, scaled)


def with_outer_widths(table: Table, *, head: Width, last: Width) -> Table:
    """Return the table with functions of the widths of its head, if explicit, and of its last layers."""
    return replace(table, head=_wide(table.head, head), last=_wide(table.last, last))


def _wide(layers: _Outer, width: Width) -> _Outer:
    return each_layer(layers, width, lambda layer: replace(layer, out=width(layer.out)))


def each_layer(layers: _Outer, width: Width, change: Callable[[Any], Any]) -> _Outer:
    """Return `head` or `last` of a table with `width` of each plain width, and `change` of each layer."""
    if isinstance(layers, tuple):
        changed: object = tuple(width(each) if isinstance(each, int) else change(each) for each in layers)
    else:
        changed = width(layers) if isinstance(layers, int) else layers
    return cast("_Outer", changed)
