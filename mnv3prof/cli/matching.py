"""`compare --match`: the width at which other networks cost as much as the first."""

from collections.abc import Sequence
from math import log
from typing import Final

from msgspec.structs import replace

from ..analysis.compare import VERDICTS, Change, compare
from ..analysis.grid import timings_of
from ..budgets.figures import LATENCY, NAMES, unit_of
from ..budgets.matching import Matched, Scaled, matched, next_width
from ..cost.counts import Dtype
from ..graph.errors import InputError, about, lookup
from ..graph.parts import NET
from ..record.run import Subject
from ..render.sheet import Kind, Sheet, format_value
from .interrupts import stopped
from .latency_options import LatencyOptions, budget_of, measured
from .output import Output
from .streams import say

_ROUNDS: Final = 3
"""Most measurements of a network until its width is taken."""
_CLOSE: Final = 0.02
"""Difference of a ratio from 1 that counts as equal."""
_OTHER: Final = "other"


def matched_networks(
    subjects: Sequence[Subject], scaled: Sequence[Scaled], metric: str, size: tuple[Dtype, int]
) -> list[Matched]:
    """Return the other networks, each at the width that gives the metric of the first. Raises InputError.

    scaled: returns each of the others at a width.
    """
    lookup(metric, {name: name for name in (*NAMES, f"{LATENCY}BACKEND")}, "--match")
    with about("--match"):
        return [matched(subjects[0], each, metric, *size) for each in scaled]


def matched_by_latency(
    subjects: Sequence[Subject], scaled: Sequence[Scaled], options: LatencyOptions
) -> tuple[list[Matched], list[Change], LatencyOptions]:
    """Return the other networks, each at the width at which its latency was nearest to that of the first.

    It starts at equal MACs. Return also the changes from the first network to them, and the options with the
    time that is left. Raises InputError if nothing can be measured.
    """
    part_s = budget_of(options.time_budget) / (_ROUNDS * len(scaled) + 1)
    options = replace(options, time_budget=part_s)
    quick = replace(options, parts=NET, rows=None, ops=False)
    found, changes = [], []
    for at_width in scaled:
        width, change = _nearest(quick, subjects[0], at_width)
        found.append(Matched(at_width(width), width, _ratio(change), 1.0))
        changes.append(change)
    return found, changes, options


def _nearest(options: LatencyOptions, first: Subject, at_width: Scaled) -> tuple[float, Change]:
    """Return the width that was measured whose latency is nearest to that of the first network."""
    width = matched(first, at_width, "macs").width
    tried: dict[float, Change] = {}
    while width not in tried and len(tried) < _ROUNDS:
        tried[width] = _measured(options, first, at_width(width))
        if abs(_ratio(tried[width]) - 1) <= _CLOSE:
            break
        width = next_width([*tried], [*map(_ratio, tried.values())])
    return min(tried.items(), key=lambda pair: abs(log(_ratio(pair[1]))))


def _measured(options: LatencyOptions, first: Subject, other: Subject) -> Change:
    """Measure both networks in turns. Raises InputError if one has no time, and Exit after an interrupt."""
    say(f"measuring {other.name}")
    run = measured(options.request({"": first, _OTHER: other}), Output())
    if run.was_interrupted:
        raise stopped("no width was found; the same command starts again")
    (old,), (new,) = (timings_of(run, variant) for variant in ("", _OTHER))
    change = compare(old, new, run, run)
    if change.ratio is None:
        raise InputError(f"--match: no ratio of latencies could be measured: {change.reason}")
    return change


def _ratio(change: Change) -> float:
    assert change.ratio is not None  # _measured refuses others
    return change.ratio


def latency_match_sheet(found: Sequence[Matched], changes: Sequence[Change], metric: str) -> Sheet:
    """Return the widths that came nearest, with the ratio of each latency and its interval."""
    told = [
        f"{m.subject.name}: {change.described}, when it was matched."
        for m, change in zip(found, changes, strict=True)
    ]
    equal = all(change.verdict in ("same", "unclear") for change in changes)
    title = f"Width for {'equal' if equal else 'the nearest'} {metric}: {_widths(found)}"
    return Sheet(title, (), (), notes=(*told, VERDICTS))


def _widths(found: Sequence[Matched]) -> str:
    return ", ".join(f"{each.width:g}" for each in found)


def match_sheet(found: Sequence[Matched], metric: str) -> Sheet:
    """Return the widths that were found, a sentence per network."""
    kind: Kind = "bytes" if unit_of(metric) == "bytes" else "count"
    told = [
        f"{m.subject.name}: {metric} {format_value(int(m.value), kind)}, "
        f"{m.value / m.wanted - 1:+.2%} of {format_value(int(m.wanted), kind)}."
        for m in found
    ]
    equal = all(abs(m.value / m.wanted - 1) <= _CLOSE for m in found)
    title = f"Width for {'equal' if equal else 'the nearest'} {metric}: {_widths(found)}"
    return Sheet(title, (), (), notes=tuple(told))
