"""Variants of a table: width, tail, dilation, classes, convolutions, activation."""

from collections.abc import Callable
from typing import Literal, cast

from msgspec.structs import replace

from ..graph.errors import InputError, as_number, one_of, quote, require, require_boolean
from .files import activation_code
from .table import Row, Table, in_widths, make_divisible

WidthRule = Literal["paper", "torchvision"]
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
    one_of(width_rule, _WIDTH_RULES, "width_rule")
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
        table = replace(_named(table, "standard conv"), conv="standard")
    if dense_depthwise:
        table = replace(_named(table, "dense depthwise"), conv="dense-depthwise")
    if without_se:
        rows = tuple(replace(row, se=False) for row in table.rows)
        table = replace(_named(table, "without SE"), rows=rows)
    if activation is not None:
        table = with_activation(table, activation)
    return table


def with_width(table: Table, multiplier: float, rule: WidthRule = "paper") -> Table:
    """Scale all widths by `multiplier`. Raises InputError. The two rules differ by up to 12 % in MACs.

    paper (TF-slim, Keras, timm): stem and outs × multiplier; each expansion keeps its ratio to the
        block's input width; the hidden layer before the classes is not made narrower.
    torchvision: all absolute widths × multiplier, including the hidden layer.
    """
    multiplier = cast("float", as_number(multiplier))
    if type(multiplier) not in (int, float) or not 0 < multiplier <= MAX_MULTIPLIER:
        expected = f"expected a number above 0, at most {MAX_MULTIPLIER:g}"
        raise InputError(f"width: {quote(multiplier)} is not allowed; {expected}")
    try:
        scaled = _WIDTH_RULES[rule](table, multiplier)
    except InputError as error:
        raise InputError(f"{table.name} at width {multiplier:g}: {error}") from None
    return _named(scaled, f"width {multiplier:g}" + (f" ({rule} rule)" if rule != "paper" else ""))


def _paper_rule(table: Table, multiplier: float) -> Table:
    stem = make_divisible(table.stem * multiplier, table.divisor)
    rows: list[Row] = []
    width = stem
    for row, width_in in zip(table.rows, in_widths(table), strict=True):
        expand = make_divisible(row.expand * width / width_in, table.divisor)
        rows.append(replace(row, expand=expand, out=make_divisible(row.out * multiplier, table.divisor)))
        width = rows[-1].out
    head = table.head and make_divisible(table.head * multiplier, table.divisor)
    last = make_divisible(table.last * multiplier, table.divisor) if multiplier > 1 else table.last
    return replace(table, stem=stem, rows=tuple(rows), head=head, last=last)


def _torchvision_rule(table: Table, multiplier: float) -> Table:
    def scaled(width: int) -> int:
        return make_divisible(width * multiplier, table.divisor)

    rows = tuple(replace(row, expand=scaled(row.expand), out=scaled(row.out)) for row in table.rows)
    head = table.head and scaled(table.head)
    return replace(table, stem=scaled(table.stem), rows=rows, head=head, last=scaled(table.last))


_WIDTH_RULES: dict[str, Callable[[Table, float], Table]] = {
    "paper": _paper_rule,
    "torchvision": _torchvision_rule,
}


def with_reduced_tail(table: Table) -> Table:
    """Halve the tail's widths (paper, section 6.4; torchvision's reduced_tail).

    From the last row of stride 2 on: its out, expand and out of the rows after it, head and last.
    """
    start = _tail(table, "a reduced tail")
    rows = (
        row
        if n < start
        else replace(row, out=_half(row.out), expand=_half(row.expand) if n > start else row.expand)
        for n, row in enumerate(table.rows)
    )
    head = table.head and _half(table.head)
    return replace(_named(table, "reduced tail"), rows=tuple(rows), head=head, last=_half(table.last))


def with_dilation(table: Table) -> Table:
    """Replace the last stride of 2 by dilation (paper, section 6.4; torchvision's dilated).

    The stride becomes 1, and from that row on dilation is doubled, which keeps the receptive field. The row
    with the new stride has no identity.
    """
    start = _tail(table, "dilation")
    rows = (
        row
        if n < start
        else replace(row, stride=1, dilation=2 * row.dilation, identity=row.identity and n > start)
        for n, row in enumerate(table.rows)
    )
    return replace(_named(table, "dilated"), rows=tuple(rows))


def with_activation(table: Table, activation: str) -> Table:
    """Use one activation in all rows, the stem and the head, but not inside squeeze-excite."""
    code = activation_code(activation)
    rows = tuple(replace(row, activation=code) for row in table.rows)
    named = _named(table, f"all {code}")
    return replace(named, rows=rows, stem_activation=code, head_activation=code)


def _tail(table: Table, what: str) -> int:
    strided = [n for n, row in enumerate(table.rows) if row.stride == 2]
    if not strided:
        raise InputError(f"{table.name}: has no row of stride 2; {what} needs one")
    return strided[-1]


def _half(width: int) -> int:
    return max(1, width // 2)


def _named(table: Table, change: str) -> Table:
    # A name has at most 200 characters.
    return replace(table, name=f"{table.name}, {change}"[:200])
