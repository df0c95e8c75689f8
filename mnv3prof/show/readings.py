"""The sheets of `flops --cross-check` and `flops --as`: the field's counters, explained."""

from collections.abc import Sequence

from ..cost.conventions import COUNTERS, TERMS, Explained, Reconciliation, counted_as, counter
from ..cost.counts import By, group_of
from ..graph.graph import Graph
from ..render.sheet import AtLeast, Column, Sheet, words
from .costs import titled


def reconciliation_sheet(graph: Graph, found: Reconciliation) -> Sheet:
    """A row for each class of operation, a column for each counter, and the sums that meet."""
    columns = (
        Column("term", "Class of operation", "text"),
        Column("quantity", "In this network"),
        *(Column(tool.reading.tool, tool.reading.tool) for tool in found.tools),
    )
    rows = tuple(
        (TERMS[term], quantity, *(_coefficient(tool, term) for tool in found.tools))
        for term, quantity in found.quantities.items()
    )
    totals = (
        ("printed by the tool", None, *(tool.reading.printed for tool in found.tools)),
        ("explained", None, *(tool.explained for tool in found.tools)),
        ("remainder", None, *(tool.remainder for tool in found.tools)),
    )
    alarms = frozenset() if found.holds else frozenset({len(rows) + 2})
    title = titled(graph, "what each counter counts, and how often")
    return Sheet(title, columns, rows, totals, tuple(_notes(found)), alarms, stacked=True)


def convention_sheet(graph: Graph, tool: str, by: By) -> Sheet:
    """What `tool` would print for each block, operation or layer."""
    printed_as = counter(tool).printed_as
    groups: dict[str, list[int | None]] = {}
    unknown = []
    for (block, layer), figure in zip(graph.placed(), counted_as(graph, tool), strict=True):
        groups.setdefault(group_of(block, layer, by), []).append(figure)
        if figure is None:
            unknown.append(layer.op)
    whole = sum(figure or 0 for figures in groups.values() for figure in figures)
    columns = (
        Column(by, by.capitalize(), "text"),
        Column("share", "Share", "share", importance=1),
        Column("figure", printed_as),
    )
    rows = tuple((name, *_share(figures, whole, unknown)) for name, figures in groups.items())
    totals = (("total", *_share([whole, *[None for _ in unknown]], whole, unknown)),)
    notes = [_closed_form(tool)]
    if unknown:
        notes.append(f"How {tool} counts {words(list(dict.fromkeys(unknown)))} is not known.")
    return Sheet(titled(graph, f"as {tool} counts"), columns, rows, totals, tuple(notes))


def _share(
    figures: Sequence[int | None], whole: int, unknown: Sequence[str]
) -> tuple[float | None, int | None]:
    """Share and figure of a group: a lower bound, or None, if some of its figures are not known."""
    known = [figure for figure in figures if figure is not None]
    value = sum(known) if len(known) == len(figures) else AtLeast(sum(known)) if known else None
    return None if unknown else sum(known) / whole if whole else 0.0, value


def _coefficient(tool: Explained, term: str) -> int | None:
    return COUNTERS[tool.reading.tool].coefficients.get(term)


def _closed_form(tool: str) -> str:
    found = counter(tool)
    parts = [
        f"{coefficient} × {TERMS[term]}" if coefficient > 1 else TERMS[term]
        for term, coefficient in found.coefficients.items()
    ]
    return f"{tool} {found.version} prints as {found.printed_as}: {'; '.join(parts)}."


def _notes(found: Reconciliation) -> list[str]:
    ran = [f"{x.reading.tool} {x.reading.version}" for x in found.tools if x.reading.status == "ok"]
    notes = [
        f"A cell is how often the tool counts the class; a dash: not at all. Ran {words(ran or ['none'])}."
    ]
    unlike = [
        f"{x.reading.tool}'s remainder is {x.remainder:,}: its coefficients are those of {version}"
        for x in found.tools
        if x.remainder and (version := COUNTERS[x.reading.tool].version)
    ]
    reasons = dict.fromkeys(
        f"{x.reading.tool} {x.reading.status}: {x.reading.reason}"
        for x in found.tools
        if x.reading.status != "ok"
    )
    return notes + [f"{sentence}." for sentence in (*unlike, *reasons)]
