"""How `check` is shown: verdicts, and of an exceeded budget the blocks that spend the most."""

from collections.abc import Sequence

from ..budgets.figures import Found, Unit
from ..budgets.judge import Judgement
from ..render.sheet import Column, Sheet, words
from .comparison import label


def gate_sheets(found: Found, judged: Sequence[Judgement]) -> tuple[Sheet, ...]:
    """The verdicts, then of each exceeded budget what spends most of it."""
    spending = _spenders_sheet(judged)
    return (_verdicts_sheet(found, judged), *([spending] if spending.rows else []))


def verdicts_data(judged: Sequence[Judgement]) -> Sheet:
    """A verdict a row, exact, for CSV."""
    keys = ("budget", "written", "level", "measured_as", "unit", "limit", "value", "margin", "baseline",
            "status", "breach", "reason", "spenders")  # fmt: skip
    rows = tuple(
        (j.budget.name, j.budget.written, j.budget.level, j.measured_as, j.unit, j.limit, j.value, j.margin,
         j.baseline, j.status, j.breach, j.reason, " ".join(s.block for s in j.spenders))
        for j in judged
    )  # fmt: skip
    return Sheet("verdicts", tuple(Column(key, key, "text") for key in keys), rows)


def headline(found: Found, judged: Sequence[Judgement]) -> str:
    """How many of the verdicts are no breach, and of which network."""
    within = sum(j.breach is None for j in judged)
    return f"{label(found.subject.graph)}: within {within} of {len(judged)} budgets"


def limit_of(judgement: Judgement) -> str:
    """The budget as it was written: macs ≤ 220M, latency.litert ≤ +5%."""
    return f"{judgement.budget.name} ≤ {judgement.budget.written}"


def sentence(judgement: Judgement) -> str:
    """The verdict in words: the margin, top contributors, or why there is none."""
    j = judgement
    name = f"{j.budget.name} ({j.measured_as})" if j.measured_as else j.budget.name
    if j.status in ("not measured", "not comparable"):
        return f"{name} is {j.status}: {j.reason}."
    value, limit = amount(j.value, j.unit, batch_of(j)), amount(j.limit, j.unit)
    margin = amount(j.margin and abs(j.margin), j.unit)
    if j.status == "within":
        why = f", {j.reason}" if j.reason else ""
        return f"{name} is {value}, {margin} {'above' if j.reason else 'below'} the limit of {limit}{why}."
    most = words([f"{s.block} ({amount(s.value, j.unit)})" for s in j.spenders]) if j.spenders else ""
    spent = f" The blocks that spend most of it: {most}." if most else " No block of it was measured."
    return f"{name} is {value}, {margin} above the limit of {limit} ({j.budget.written}).{spent}"


def batch_of(judgement: Judgement) -> int:
    """How many images the judged time is of."""
    return judgement.target.batch if judgement.target else 1


def amount(value: float | None, unit: Unit, batch: int = 1) -> str:
    """`value` with its unit: counts and bytes in full, seconds as ms, of several images per image too."""
    if value is None:
        return "–"
    if unit == "seconds":
        each = f" a call ({value / batch * 1e3:,.3f} ms an image)" if batch > 1 else ""
        return f"{value * 1e3:,.3f} ms{each}"
    return f"{value:,} B" if unit == "bytes" else f"{value:,}"


def _verdicts_sheet(found: Found, judged: Sequence[Judgement]) -> Sheet:
    columns = (
        Column("budget", "Budget", "text"),
        Column("measured_as", "Measured as", "text", importance=0 if _are_several(judged) else 3),
        Column("limit", "Limit", "figure", importance=1), Column("value", "Value", "figure"),
        Column("margin", "Margin", "figure"), Column("share", "of limit", "percent", importance=2),
        Column("level", "Level", "text", importance=1), Column("verdict", "Verdict", "text"),
    )  # fmt: skip
    rows = tuple(
        (limit_of(j), j.measured_as or None, amount(j.limit, j.unit), amount(j.value, j.unit, batch_of(j)),
         amount(j.margin, j.unit),
         j.value / j.limit if j.value is not None and j.limit else None, j.breach or j.budget.level,
         j.status)
        for j in judged
    )  # fmt: skip
    notes = [sentence(j) for j in judged if j.reason]
    if any(j.baseline_target and j.baseline_target.batch != batch_of(j) for j in judged):
        notes.append("Times of different batches are compared per image; limits are for a call.")
    alarms = frozenset(n for n, j in enumerate(judged) if j.breach == "error")
    return Sheet(headline(found, judged), columns, rows, notes=tuple(notes), alarms=alarms)


def _are_several(judged: Sequence[Judgement]) -> bool:
    """Whether one budget has more than one verdict."""
    return len({j.budget.name for j in judged}) < len({(j.budget.name, j.measured_as) for j in judged})


def _spenders_sheet(judged: Sequence[Judgement]) -> Sheet:
    compared = any(s.baseline is not None for j in judged for s in j.spenders)
    columns = [
        Column("budget", "Budget", "text"), Column("block", "Block", "text"),
        Column("share", "Of the network's", "share", importance=1), Column("value", "Value", "figure"),
    ]  # fmt: skip
    if compared:
        columns.append(Column("baseline", "Baseline", "figure", importance=2))
    rows = tuple(
        (limit_of(j), s.block, s.share, amount(s.value, j.unit), amount(s.baseline, j.unit))[: len(columns)]
        for j in judged
        for s in j.spenders
    )
    memory = any(j.budget.name.startswith(("peak", "arena")) and j.spenders for j in judged)
    notes = (
        ("Of memory a block has the most bytes alive while it runs; they do not add up.",) if memory else ()
    )
    return Sheet("Top contributors to the exceeded budgets", tuple(columns), rows, notes=notes)
