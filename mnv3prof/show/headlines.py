"""First sentences of the comments of `diff` and `check` on a pull request."""

from collections.abc import Sequence
from typing import Final

from ..budgets.diff import Diff, FigureChange, TimeChange
from ..budgets.figures import Side
from ..budgets.judge import Judgment
from ..graph.errors import one_line
from ..record.target import Target, labels
from ..render.sheet import join_words
from .comparison import label
from .gate import are_several, counted, limit_of

CLEAR: Final = ("slower", "faster")
"""Verdicts of a clear change of a latency."""
_VERDICTS: Final = (*CLEAR, "unclear", "same", "not comparable")
_MOST_NAMES: Final = 3
"""Names of targets or budgets that a list has."""


def diff_verdict(diff: Diff, whole: Sequence[TimeChange]) -> str:
    """State the changes of MACs, parameters, a changed arena, and latency on each target.

    whole: changes of the whole network's latency.
    """
    graphs = [each.subject.graph for each in (diff.old, diff.new)]
    resized = graphs[0].size != graphs[1].size
    names = dict.fromkeys(label(graph) if resized else graph.name for graph in graphs)
    totals = totals_of(diff)
    said = [_change_of(totals["macs"], "MACs"), _change_of(totals["params"], "parameters")]
    if totals["arena"].differs:
        said.append(_change_of(totals["arena"], "arena", less="less"))
    latency = _latency(whole)
    return f"{' → '.join(names)}: {', '.join(said)}{latency and f'; {latency}'}."


def totals_of(diff: Diff) -> dict[str, FigureChange]:
    """Return the changes of the main network's metrics, by name."""
    return {each.name: each for each in diff.figures if not each.variant and not each.block}


def _change_of(figure: FigureChange, what: str, less: str = "fewer") -> str:
    """Say how much a metric changed: "12 % fewer MACs"."""
    old, new = figure.old or 0, figure.new or 0
    if old == new:
        return f"same {what}"
    return f"{percent(old, new) or f'{abs(new - old):,}'} {'more' if new > old else less} {what}"


def percent(old: int, new: int) -> str:
    """Return the size of a change in % of the old value, with three digits; "" if that is 0."""
    if not old:
        return ""
    points = 100 * abs(new - old) / old
    if points < 0.01:
        return "under 0.01 %"
    return f"{points:.3g} %" if points < 999.5 else f"{points:,.0f} %"


def _latency(whole: Sequence[TimeChange]) -> str:
    """Say on which targets the whole network is slower, faster, unclear, the same and not comparable."""
    reasons = {each.change.reason for each in whole if each.change.verdict == "not comparable"}
    if len(reasons) == 1 and all(each.change.verdict == "not comparable" for each in whole):
        return f"latency not comparable: {one_line(reasons.pop())}"
    names = labels([t.target for each in whole for t in (each.old, each.new) if t], with_backend=True)
    groups = []
    for verdict in _VERDICTS:
        on = [_on(each, names) for each in whole if each.change.verdict == verdict]
        if on:
            groups.append(f"{verdict} on {_list(on)}")
    return f"latency {', '.join(groups)}" if groups else ""


def _on(time: TimeChange, names: dict[Target, str]) -> str:
    """Name the target and, if the change is clear, the ratio with its interval."""
    on = " → ".join(dict.fromkeys(names[t.target] for t in (time.old, time.new) if t)).replace(", ", " ")
    change = time.change
    if change.verdict not in CLEAR or change.ratio is None:
        return on
    clock = "" if change.clock == "wall" else f"{change.clock} time "
    return f"{on} ({clock}×{change.ratio:.3g}, {change.low:.3g} to {change.high:.3g})"


def _list(names: Sequence[str]) -> str:
    """Join names; only some of many, and the number of the others."""
    left = len(names) - _MOST_NAMES
    return join_words(names if left < 2 else [*names[:_MOST_NAMES], f"{left} others"])


def check_verdict(checked: Side, judged: Sequence[Judgment]) -> str:
    """State how many budgets are exceeded or were not checked, and which."""
    several = are_several(judged)
    groups = []
    for status in ("exceeded", "unclear", "not measured", "not comparable"):
        names = [budget_name(j, several=several) for j in judged if j.status == status]
        of = f" of {counted(judged)}" if status == "exceeded" else ""
        if names or of:
            groups.append(f"{len(names)}{of} {status}{f': {_list(names)}' if names else ''}")
    return f"{label(checked.subject.graph)}: {'; '.join(groups)}."


def budget_name(judgment: Judgment, *, several: bool) -> str:
    """Return the budget with its settings, if one has several verdicts, and "warning" if it is no error."""
    how = [judgment.measured_as] if several and judgment.measured_as else []
    how += ["warning"] if judgment.breach == "warn" else []
    return f"{limit_of(judgment)} ({', '.join(how)})" if how else limit_of(judgment)
