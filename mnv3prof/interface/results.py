"""Compare, check and report networks and runs; results as tables and data frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..budgets.diff import Diff
from ..budgets.diff import diff as changes
from ..budgets.figures import Found, found
from ..budgets.judge import Judgement, judge
from ..budgets.limits import budgets_from
from ..cost.comparison import NetworkCosts, network_costs
from ..cost.counts import count
from ..graph.errors import InputError
from ..graph.graph import Graph
from ..mobilenetv3.table import separable_savings
from ..record.atomic import replace_file
from ..record.run import Run, Subject
from ..render import frames
from ..render.sheet import Sheet
from ..show.comparison import MOST_NETWORKS, blocks_sheet, totals_sheet
from ..show.costs import cost_sheet
from ..show.diff import changes_sheet, diff_sheets
from ..show.gate import gate_sheets, verdicts_data
from ..show.latency import latency_sheets, samples_sheet
from ..show.load import busy_sheets
from ..workers.backends import name_of
from .networks import Loadable, load, source_of
from .pages import page_of

if TYPE_CHECKING:
    import pandas as pd


class Comparison(msgspec.Struct, frozen=True):
    """Networks side by side. subjects: the networks; costs: of each, at fp32, batch 1."""

    subjects: tuple[Subject, ...]
    costs: tuple[NetworkCosts, ...]

    def __repr__(self) -> str:
        return f"Comparison({', '.join(map(repr, self.subjects))})"


class Check(msgspec.Struct, frozen=True):
    """Verdicts on budgets. checked: the network or run; judgements: one per budget and target."""

    checked: Found
    judgements: tuple[Judgement, ...]

    def __repr__(self) -> str:
        within = sum(each.breach is None for each in self.judgements)
        return f"Check({self.checked.source!r}, within {within} of {len(self.judgements)} budgets)"

    @property
    def passed(self) -> bool:
        """True if no budget of level "error" is exceeded or was not measured."""
        return all(each.breach != "error" for each in self.judgements)


def compare(*networks: Loadable) -> Comparison:
    """Return the costs of at least two networks, at fp32, batch 1, each at its input size.

    tables() shows them with ratios to the first; blocks are matched by structure. Raises InputError.

    >>> large, small = mnv3prof.compare("large", "small").costs
    >>> round(small.totals.macs / large.totals.macs, 3)
    0.261
    """
    if not 2 <= len(networks) <= MOST_NETWORKS:
        raise InputError(f"compare: {len(networks)} networks; expected 2 to {MOST_NETWORKS}")
    subjects = tuple(map(load, networks))
    return Comparison(subjects, tuple(network_costs(subject.graph) for subject in subjects))


def diff(old: Loadable, new: Loadable) -> Diff:
    """Return what changed between two networks or runs, per block, part and target.

    A latency has a ratio with its 95 % interval and a verdict: faster, slower, same, unclear or not
    comparable. A network that is compared with a run gets the run's input, dtype and batch. Raises
    InputError.

    >>> difference = mnv3prof.diff("large", mnv3prof.vary(mnv3prof.read_table("large"), without_se=True))
    >>> next(each.new - each.old for each in difference.figures if each.name == "params")
    -1512280
    """
    return changes(*found(source_of(old, "diff"), source_of(new, "diff")))


def check(checked: Loadable, budgets: Mapping[str, Any], baseline: Loadable | None = None) -> Check:
    """Return the verdicts on budgets.

    budgets: limits by name, as in [tool.mnv3prof.budgets] of pyproject.toml: "220M", "4MiB", "8ms", "+5%"
        of the baseline, or {"limit": "8ms", "level": "warn", "dtype": "int8"}. Names: macs, flops, params,
        weights, read, written, arena, peak.eager, peak.unfused, peak.fused, latency.BACKEND.

    Raises InputError.

    >>> mnv3prof.check("small", {"macs": "60M", "arena": "1MiB"}).passed
    False
    """
    wanted = budgets_from(budgets, "check", name_of)
    sources = [source_of(each, "check") for each in (baseline, checked) if each is not None]
    if baseline is None and (relative := [each for each in wanted if each.change is not None]):
        name, limit = relative[0].name, relative[0].written
        raise InputError(f"check: {name}: {limit} is relative; expected also a baseline")
    *before, now = found(*sources)
    return Check(now, judge(wanted, now, before[0] if before else None))


def report(*runs: str | Path | Run, output: str | Path | None = None) -> str:
    """Return a self-contained HTML page of one run, or of several side by side.

    output: file to write it to as well. Raises InputError.

    >>> page = mnv3prof.report("run.json", output="small.html")
    """
    if not runs:
        raise InputError("report: no run is given; expected what measure() returns, or a saved run")
    sources = [source_of(each, "report") for each in runs]
    for source in sources:
        if not source.runs:
            raise InputError(f"report: {source.text} holds no run; expected what measure() returns")
    text = page_of([run for s in sources for run in s.runs], [one for s in sources for one in s.evidence])
    if output is not None:
        replace_file(Path(output), text.encode())
    return text


def tables(result: Graph | Subject | Run | Comparison | Diff | Check) -> tuple[Sheet, ...]:
    """Return the tables that the command line shows of a result. In a notebook they are HTML.

    Raises InputError for anything else.

    >>> [table.title for table in mnv3prof.tables(mnv3prof.load("small"))]
    ['MobileNetV3-Small at 224×224: cost by block']
    """
    match result:
        case Subject():
            return tables(result.graph)
        case Graph():
            return (cost_sheet(result, count(result)),)
        case Run():
            return (*busy_sheets(result), *latency_sheets(result))
        case Comparison():
            saved = separable_savings([subject.table for subject in result.subjects])
            return (totals_sheet(result.costs), blocks_sheet(result.costs, saved))
        case Diff():
            return diff_sheets(result)
        case Check():
            return gate_sheets(result.checked, result.judgements)
    raise InputError(
        f"tables: {type(result).__name__} has no tables; expected a Graph, Subject, Run, Comparison, Diff "
        "or Check"
    )


def frame(data: Any) -> pd.DataFrame:
    """Return a pandas DataFrame.

    data: a Run (a row per timing, in seconds), a Diff (a row per change), a Check (a row per verdict), a
        table that tables() returned, or structs such as rows, layers, costs, totals and placements (a row
        each, a column per field).

    Integers stay integers: a column with missing values has the dtype Int64. Raises InputError.

    >>> graph = mnv3prof.load("small").graph
    >>> int(mnv3prof.frame(mnv3prof.count(graph)).macs.sum())
    56510400
    """
    match data:
        case Run():
            return frames.frame(samples_sheet(data))
        case Diff():
            return frames.frame(changes_sheet(data))
        case Check():
            return frames.frame(verdicts_data(data.judgements))
    return frames.frame(data)
