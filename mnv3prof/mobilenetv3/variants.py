"""Variants of a table: width, tail, dilation, classes, convolutions, activation."""

from collections.abc import Callable
from typing import cast

from msgspec.structs import replace

from ..graph.errors import InputError, as_number, one_of, quote, require, require_boolean
from .cells import activation_code
from .fields import NONE, Conv
from .names import stage_sizes
from .table import HeadConv, LastLayer, Table, strides
from .width_rules import WIDTH_RULES, WidthRule, each_layer, is_like_mobilenetv3, with_outer_widths

MAX_MULTIPLIER = 100.0


def vary(
    table: Table,
    *,
    width: float = 1.0,
    width_rule: WidthRule = "paper",
    reduced_tail: bool = False,
    dilated: bool = False,
    classes: int | None = None,
    standard_conv: bool = False,
    dense_depthwise: bool = False,
    without_se: bool = False,
    activation: str | None = None,
) -> Table:
    """Return `table` with changes, which are appended to its name. Raises InputError.

    width: multiplier of all widths, by width_rule (see with_width). reduced_tail, dilated: as for detection
        and segmentation (paper, section 6.4). classes: of the output. standard_conv: one k×k convolution
        instead of each depthwise + project pair. dense_depthwise: dense instead of depthwise convolutions.
        without_se: no squeeze-excite. activation: one everywhere.

    The tail is reduced before widths are scaled, as in torchvision.

    >>> mnv3prof.vary(mnv3prof.read_table("large"), width=0.75)
    Table('MobileNetV3-Large, width 0.75', 15 rows)
    """
    require(table, Table, "vary", "what mnv3prof.read_table returns")
    if standard_conv and dense_depthwise:
        raise InputError("standard_conv and dense_depthwise cannot be combined; expected one of them")
    one_of(width_rule, WIDTH_RULES, "width_rule")
    for name, value in (
        ("reduced_tail", reduced_tail),
        ("dilated", dilated),
        ("standard_conv", standard_conv),
        ("dense_depthwise", dense_depthwise),
        ("without_se", without_se),
    ):
        require_boolean(value, name)
    if reduced_tail:
        table = with_reduced_tail(table)
    if dilated:
        table = with_dilation(table)
    if width != 1.0 or isinstance(width, bool):
        table = with_width(table, width, width_rule)
    if classes is not None and classes != table.classes:
        table = replace(_named(table, f"{classes} classes"), classes=cast("int", as_number(classes)))
    if standard_conv:
        table = with_conv(table, "standard")
    if dense_depthwise:
        table = with_conv(table, "dense-depthwise")
    if without_se:
        rows = tuple(replace(row, se=False) for row in table.rows)
        table = replace(_named(table, "without SE"), rows=rows)
    if activation is not None:
        table = with_activation(table, activation)
    return table


def with_width(table: Table, multiplier: float, rule: WidthRule = "paper") -> Table:
    """Scale all widths by `multiplier`, as the rule says (see width_rules). Raises InputError."""
    multiplier = cast("float", as_number(multiplier))
    if type(multiplier) not in (int, float) or not 0 < multiplier <= MAX_MULTIPLIER:
        expected = f"expected a number above 0, at most {MAX_MULTIPLIER:g}"
        raise InputError(f"width: {quote(multiplier)} is not allowed; {expected}")
    if rule != "paper" and not is_like_mobilenetv3(table):
        raise InputError(f"width_rule: {rule} is for MobileNetV3; {table.name} has its own: expected paper")
    try:
        scaled = WIDTH_RULES[rule](_with_stages(table), multiplier)
    except InputError as error:
        rows = (
            f" (widths are rounded to multiples of {table.divisor})" if f"{error}".startswith("rows") else ""
        )
        raise InputError(f"{table.name} at width {multiplier:g}{rows}: {error}") from None
    return _named(scaled, f"width {multiplier:g}" + (f" ({rule} rule)" if rule != "paper" else ""))


def with_conv(table: Table, conv: Conv) -> Table:
    """Replace the depthwise convolutions; fused rows have none and stay as they are. Raises InputError."""
    every = [row.conv or table.conv for row in table.rows]
    if not has_pairs(table):
        raise InputError(f"{table.name}: its rows are fused; expected a row with a depthwise convolution")
    own = conv if table.conv == "fused" else None
    rows = tuple(
        row if each == "fused" else replace(row, conv=own)
        for row, each in zip(table.rows, every, strict=True)
    )
    what = "standard conv" if conv == "standard" else conv.replace("-", " ")
    return replace(_named(table, what), rows=rows, conv=table.conv if own else conv)


def has_pairs(table: Table) -> bool:
    """True if a row has a depthwise convolution, or another in its place."""
    return any((row.conv or table.conv) != "fused" for row in table.rows)


def with_reduced_tail(table: Table) -> Table:
    """Halve the tail's widths (paper, section 6.4; torchvision's reduced_tail).

    From the last row of stride 2 on: its out, expand and out of the rows after it, head and last.
    """
    start = _tail(table, "a reduced tail")
    rows = (
        row
        if n < start
        else replace(
            row,
            out=_half(row.out),
            expand=_half(row.expand) if n > start else row.expand,
            se=max(2, row.se // 2) if n > start and type(row.se) is int else row.se,
        )
        for n, row in enumerate(table.rows)
    )
    named = _named(_with_stages(table), "reduced tail")
    return with_outer_widths(replace(named, rows=tuple(rows)), head=_half, last=_half)


def with_dilation(table: Table) -> Table:
    """Replace the last stride of 2 by dilation (paper, section 6.4; torchvision's dilated).

    The stride becomes 1, and from that row on dilation is doubled, which keeps the receptive field. The row
    with the new stride has no identity. Strides that are not 2 in both axes stay.
    """
    start = _tail(table, "dilation")
    rows = (
        row
        if n < start
        else replace(
            row,
            stride=row.stride if n > start else 1,
            dilation=2 * row.dilation,
            identity=row.identity and n > start,
        )
        for n, row in enumerate(table.rows)
    )
    return replace(_named(_with_stages(table), "dilated"), rows=tuple(rows))


def with_activation(table: Table, activation: str) -> Table:
    """Use one activation wherever there is one, but not inside squeeze-excite."""
    code = activation_code(activation)
    return with_activations(_named(table, f"all {code}"), lambda _: code)


def with_activations(table: Table, change: Callable[[str], str]) -> Table:
    """Return the table with `change` of each activation's code, but not inside squeeze-excite."""

    def changed(known: str | None) -> str | None:
        return known if known is None or known == NONE else change(known)

    def of_layer(layer: HeadConv | LastLayer) -> HeadConv | LastLayer:
        return replace(layer, activation=changed(layer.activation))

    rows = tuple(
        replace(row, activation=change(row.activation), project_activation=changed(row.project_activation))
        for row in table.rows
    )
    return replace(
        table,
        rows=rows,
        stem_activation=change(table.stem_activation),
        head_activation=change(table.head_activation),
        project_activation=cast("str", changed(table.project_activation)),
        head=each_layer(table.head, _kept, of_layer),
        last=each_layer(table.last, _kept, of_layer),
    )


def with_option(table: Table, option: str, value: object) -> Table:
    """Give the whole table an option that rows may have too."""
    rows = tuple(replace(row, **{option: None}) for row in table.rows)
    return replace(table, rows=rows, **{option: value})


def _with_stages(table: Table) -> Table:
    """Fix where timm's stages begin, which follows from outs and strides."""
    return replace(table, stages=stage_sizes(table)) if table.names == "timm" else table


def _tail(table: Table, what: str) -> int:
    strided = [n for n, row in enumerate(table.rows) if strides(row.stride) == (2, 2)]
    if not strided:
        raise InputError(f"{table.name}: has no row of stride 2; {what} needs one")
    return strided[-1]


def _kept(width: int) -> int:
    return width


def _half(width: int) -> int:
    return max(1, width // 2)


def _named(table: Table, change: str) -> Table:
    # A name has at most 200 characters.
    return replace(table, name=f"{table.name}, {change}"[:200])
