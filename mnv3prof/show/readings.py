"""The sheets of `flops --cross-check` and `flops --as`: the field's counters, explained."""

from ..arch.layers import Graph
from ..cost.counters import COUNTERS, TERMS, Explained, Reconciliation, counted_as, counter
from ..cost.counts import By
from .costs import titled
from .sheet import Column, Sheet, words


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
    groups: dict[str, int] = {}
    for layer, figure in zip(graph.layers, counted_as(graph, tool), strict=True):
        name = layer.block if by == "block" else layer.op if by == "op" else layer.name
        groups[name] = groups.get(name, 0) + figure
    whole = sum(groups.values())
    columns = (
        Column(by, by.capitalize(), "text"),
        Column("share", "Share", "share", importance=1),
        Column("figure", printed_as),
    )
    rows = tuple((name, figure / whole if whole else 0.0, figure) for name, figure in groups.items())
    totals = (("total", 1.0 if whole else 0.0, whole),)
    return Sheet(titled(graph, f"as {tool} counts"), columns, rows, totals, (_closed_form(tool),))


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
