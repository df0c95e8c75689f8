"""Sheets of `check`: verdicts, and the top contributors to exceeded budgets."""

from collections.abc import Sequence

from ..budgets.figures import Side, Unit
from ..budgets.judge import Judgment
from ..graph.parts import NET
from ..render.sheet import Column, Sheet, join_words
from .comparison import label


def gate_sheets(checked: Side, judged: Sequence[Judgment]) -> tuple[Sheet, ...]:
    """Return the verdicts, then the top contributors to exceeded budgets."""
    contributors = _contributors_sheet(judged)
    return (_verdicts_sheet(checked, judged), *([contributors] if contributors.rows else []))


def verdicts_data(judged: Sequence[Judgment]) -> Sheet:
    """Return a row per verdict, unrounded, for CSV."""
    keys = (
        "budget",
        "written",
        "level",
        "measured_as",
        "unit",
        "limit",
        "value",
        "margin",
        "baseline",
        "status",
        "breach",
        "reason",
        "contributors",
    )
    rows = tuple(
        (
            j.budget.name,
            j.budget.written,
            j.budget.level,
            j.measured_as,
            j.unit,
            j.limit,
            j.value,
            j.margin,
            j.baseline,
            j.status,
            j.breach,
            j.reason,
            " ".join(s.block for s in j.contributors),
        )
        for j in judged
    )
    return Sheet("verdicts", tuple(Column(key, key, "text") for key in keys), rows)


def headline(checked: Side, judged: Sequence[Judgment]) -> str:
    """State the network, and how many budgets it is within."""
    within = sum(j.breach is None for j in judged)
    return f"{label(checked.subject.graph)}: within {within} of {counted(judged)}"


def counted(judged: Sequence[Judgment]) -> str:
    """Return the number of budgets, and that of checks if budgets are checked at several settings."""
    budgets = len({j.budget for j in judged})
    checks = f"{len(judged)} checks of " if len(judged) > budgets else ""
    return f"{checks}{budgets} budget{'s' * (budgets != 1)}"


def limit_of(judgment: Judgment) -> str:
    """Return the budget as it was written: "macs ≤ 220M", "latency.litert ≤ +5%"."""
    return f"{judgment.budget.name} ≤ {judgment.budget.written}"


def sentence(judgment: Judgment) -> str:
    """State the margin and top contributors, or why the budget was not checked."""
    j = judgment
    name = f"{j.budget.name} ({j.measured_as})" if j.measured_as else j.budget.name
    if j.status in ("unclear", "not measured", "not comparable"):
        return f"{name} is {j.status}: {j.reason}."
    value, limit = amount(j.value, j.unit, batch_of(j)), amount(j.limit, j.unit)
    margin = amount(j.margin and abs(j.margin), j.unit)
    if j.status == "within":
        why = f", {j.reason}" if j.reason else ""
        side = "above" if j.margin is not None and j.margin < 0 else "below"
        return f"{name} is {value}, {margin} {side} the limit of {limit}{why}."
    blocks = (
        join_words([f"{s.block} ({amount(s.value, j.unit)})" for s in j.contributors])
        if j.contributors
        else ""
    )
    top = f" Top contributors: {blocks}." if blocks else ""
    if not blocks and j.budget.part == NET:
        top = " No block was measured."
    why = f", {j.reason}" if j.reason else ""
    return f"{name} is {value}, {margin} above the limit of {limit} ({j.budget.written}){why}.{top}"


def batch_of(judgment: Judgment) -> int:
    """Return the batch of the judged time."""
    return judgment.target.batch if judgment.target else 1


def amount(value: float | None, unit: Unit, batch: int = 1) -> str:
    """Format a value: counts and bytes in full, seconds as ms, and per image if the batch is above 1."""
    if value is None:
        return "–"
    if unit == "seconds":
        each = f" per call ({value / batch * 1e3:,.3f} ms per image)" if batch > 1 else ""
        return f"{value * 1e3:,.3f} ms{each}"
    return f"{value:,} B" if unit == "bytes" else f"{value:,}"


def _verdicts_sheet(checked: Side, judged: Sequence[Judgment]) -> Sheet:
    columns = (
        Column("budget", "Budget", "text"),
        Column("measured_as", "Settings", "text", importance=0 if are_several(judged) else 3),
        Column("limit", "Limit", "figure", importance=1),
        Column("value", "Value", "figure"),
        Column("margin", "Margin", "figure"),
        Column("share", "% of limit", "percent", importance=2),
        Column("level", "Level", "text", importance=1),
        Column("verdict", "Verdict", "text"),
    )
    rows = tuple(
        (
            limit_of(j),
            j.measured_as or None,
            amount(j.limit, j.unit),
            amount(j.value, j.unit, batch_of(j)),
            amount(j.margin, j.unit),
            j.value / j.limit if j.value is not None and j.limit else None,
            j.breach or j.budget.level,
            j.status,
        )
        for j in judged
    )
    notes = [sentence(j) for j in judged if j.reason]
    if any(j.baseline_target and j.baseline_target.batch != batch_of(j) for j in judged):
        notes.append("Times of different batches are compared per image; limits are per call.")
    highlighted = frozenset(n for n, j in enumerate(judged) if j.breach == "error")
    return Sheet(headline(checked, judged), columns, rows, notes=tuple(notes), highlighted=highlighted)


def are_several(judged: Sequence[Judgment]) -> bool:
    """Return True if a budget has more than one verdict."""
    return len({j.budget.name for j in judged}) < len({(j.budget.name, j.measured_as) for j in judged})


def _contributors_sheet(judged: Sequence[Judgment]) -> Sheet:
    compared = any(s.baseline is not None for j in judged for s in j.contributors)
    columns = [
        Column("budget", "Budget", "text"),
        Column("block", "Block", "text"),
        Column("share", "Share", "share", importance=1),
        Column("value", "Value", "figure"),
    ]
    if compared:
        columns.append(Column("baseline", "Baseline", "figure", importance=2))
    rows = tuple(
        (limit_of(j), s.block, s.share, amount(s.value, j.unit), amount(s.baseline, j.unit))[: len(columns)]
        for j in judged
        for s in j.contributors
    )
    memory = any(j.budget.name.startswith(("peak", "arena")) and j.contributors for j in judged)
    notes = (
        ("Memory of a block: the most live bytes while it runs; the values do not add up.",) if memory else ()
    )
    return Sheet("Top contributors to the exceeded budgets", tuple(columns), rows, notes=notes)
