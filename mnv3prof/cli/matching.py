"""`compare --match`: the width at which other networks cost as much as the first."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from ..analysis.compare import compare
from ..analysis.grid import timings_of
from ..budgets.figures import LATENCY, NAMES, unit_of
from ..budgets.matching import Matched, Scaled, matched, next_width
from ..cost.counts import Dtype
from ..graph.errors import InputError, about, lookup
from ..record.run import Run, Subject
from ..render.sheet import Kind, Sheet, format_value
from .latency_options import LatencyOptions, budget_of, measured
from .output import Output
from .streams import say

_ROUNDS: Final = 4
"""Measurements of a network until its width is taken; each gets this part of the sampling time."""

Measure = Callable[[Subject, Subject], float]
"""Returns the latency of the second network, relative to the first."""


def matched_networks(
    subjects: Sequence[Subject], scaled: Sequence[Scaled], metric: str, size: tuple[Dtype, int]
) -> list[Matched]:
    """Return the other networks, each at the width that gives the metric of the first. Raises InputError.

    scaled: returns each of the others at a width.
    """
    lookup(metric, {name: name for name in NAMES}, "--match")
    with about("--match"):
        return [matched(subjects[0], each, metric, *size) for each in scaled]


def matched_by_latency(
    subjects: Sequence[Subject], scaled: Sequence[Scaled], options: LatencyOptions
) -> list[Matched]:
    """Return the other networks, each at the width that gives the latency of the first, by measuring.

    It starts at equal MACs. The last width is the one whose ratio was nearest to 1. Raises InputError.
    """
    part_s = budget_of(options.time_budget) / _ROUNDS
    quick = replace(options, parts="net", time_budget=part_s)
    found = []
    for at_width in scaled:
        start = matched(subjects[0], at_width, "macs")
        widths, ratios = [start.width], [_ratio(quick, subjects[0], start.subject)]
        while len(widths) < _ROUNDS - 1 and abs(ratios[-1] - 1) > 0.02:
            width = next_width(widths, ratios)
            if width in widths:
                break
            widths.append(width)
            ratios.append(_ratio(quick, subjects[0], at_width(width)))
        best = min(range(len(widths)), key=lambda n: abs(ratios[n] - 1))
        found.append(Matched(at_width(widths[best]), widths[best], ratios[best], 1.0))
    return found


def _ratio(options: LatencyOptions, first: Subject, other: Subject) -> float:
    """Measure both networks in turns. Raises InputError if one has no time."""
    say(f"measuring {other.table.name}")
    run = measured(options.request({"": first, _OTHER: other}), Output())
    return _ratio_in(run)


_OTHER: Final = "other"


def _ratio_in(run: Run) -> float:
    (old,), (new,) = (timings_of(run, variant) for variant in ("", _OTHER))
    change = compare(old, new, run, run)
    if change.ratio is None:
        raise InputError(f"--match: no ratio of latencies could be measured: {change.reason}")
    return change.ratio


def match_sheet(found: Sequence[Matched], metric: str) -> Sheet:
    """Return the widths that were found, a sentence per network."""
    if metric.startswith(LATENCY):
        told = [f"{m.subject.table.name}: ×{m.value:.3f} of the latency when it was matched" for m in found]
    else:
        kind: Kind = "bytes" if unit_of(metric) == "bytes" else "count"
        told = [
            f"{m.subject.table.name}: {metric} {format_value(int(m.value), kind)}, "
            f"{m.value / m.wanted - 1:+.2%} of {format_value(int(m.wanted), kind)}"
            for m in found
        ]
    return Sheet(
        f"Width for equal {metric}: {', '.join(f'{m.width:g}' for m in found)}", (), (), notes=tuple(told)
    )
