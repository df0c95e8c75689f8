"""Compare, check and report networks and runs; results as tables and data frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..budgets.diff import Diff
from ..budgets.diff import diff as changes
from ..budgets.figures import Side, sides
from ..budgets.judge import Judgment, judge
from ..budgets.limits import budgets_from
from ..cost.comparison import NetworkCosts, network_costs
from ..cost.counts import DTYPE_BYTES, Dtype, count
from ..graph.errors import InputError, one_of, require, require_at_least_1
from ..graph.graph import Graph
from ..mobilenetv3.saving import separable_savings
from ..record.run import Run, Subject
from ..render import frames
from ..render.sheet import Sheets
from ..show.answers import answer_sheets
from ..show.comparison import MOST_NETWORKS, blocks_sheet, totals_sheet
from ..show.costs import cost_sheet
from ..show.diff import changes_sheet, diff_sheets
from ..show.gate import counted, gate_sheets, verdicts_data
from ..show.latency import latency_sheets, samples_sheet
from ..show.load import busy_sheets
from ..workers.backends import place_of
from .networks import Loadable, sources_of, write
from .pages import page_of

if TYPE_CHECKING:
    import pandas as pd


class Comparison(msgspec.Struct, frozen=True):
    """Networks side by side. subjects: the networks; costs: of each.

    >>> [costs.totals.macs for costs in mnv3prof.compare("large", "small").costs]
    [216589760, 56510400]
    """

    subjects: tuple[Subject, ...]
    costs: tuple[NetworkCosts, ...]

    def __repr__(self) -> str:
        return f"Comparison({', '.join(map(repr, self.subjects))})"


class Check(msgspec.Struct, frozen=True):
    """Verdicts on budgets. checked: the network or run; judgments: one per budget and target.

    >>> check = mnv3prof.check("small", {"macs": "60M", "arena": "1MiB"})
    >>> check.passed, [each.status for each in check.judgments]
    (False, ['within', 'exceeded'])
    """

    checked: Side
    judgments: tuple[Judgment, ...]

    def __repr__(self) -> str:
        within = sum(each.breach is None for each in self.judgments)
        return f"Check({self.checked.source!r}, within {within} of {counted(self.judgments)})"

    def __bool__(self) -> bool:
        """Return `passed`."""
        return self.passed

    @property
    def passed(self) -> bool:
        """True if none is an error: not within its limit at level "error", or not measured."""
        return all(each.breach != "error" for each in self.judgments)


def compare(*networks: Loadable, dtype: Dtype = "fp32", batch: int = 1) -> Comparison:
    """Return the costs of at least two networks.

    networks: as of load(). Those without an input size of their own get that of the first that has one.
    dtype, batch: which bytes are for.
    tables() shows them with ratios to the first; blocks are matched by structure. Raises InputError.

    >>> large, small = mnv3prof.compare("large", "small").costs
    >>> round(small.totals.macs / large.totals.macs, 3)
    0.261
    """
    if not 2 <= len(networks) <= MOST_NETWORKS:
        raise InputError(f"compare: {len(networks)} given; expected 2 to {MOST_NETWORKS} networks")
    subjects = tuple(source.subject for source in sources_of(networks, "compare"))
    return Comparison(subjects, tuple(network_costs(subject.graph, dtype, batch) for subject in subjects))


def diff(old: Loadable, new: Loadable, *, dtype: Dtype | None = None, batch: int | None = None) -> Diff:
    """Return what changed between two networks or runs, per block, part and target.

    old, new: as of load(). One without an input size of its own gets that of the other, and a network that is
        compared with a run gets the run's dtype and batch.
    dtype, batch: which bytes and timings are for; by default all those of the runs.

    Each of `times` has the timings `old` and `new`, None where one was not measured, and `change`: a ratio
    with its 95 % interval and a verdict (faster, slower, same, unclear or not comparable). Raises InputError.

    >>> difference = mnv3prof.diff("large", mnv3prof.vary(mnv3prof.read_table("large"), without_se=True))
    >>> next(each.new - each.old for each in difference.figures if each.name == "params")
    -1512280
    """
    require_size(dtype, batch)
    return changes(*sides(*sources_of([old, new], "diff"), dtype=dtype, batch=batch))


def check(
    checked: Loadable,
    budgets: Mapping[str, Any],
    baseline: Loadable | None = None,
    *,
    dtype: Dtype | None = None,
    batch: int | None = None,
) -> Check:
    """Return the verdicts on budgets; the result is true if it passed.

    checked, baseline: as of load().
    budgets: limits by name, as in [tool.mnv3prof.budgets] of pyproject.toml: "220M", "4MiB", "8ms", "+5%"
        of the baseline, or {"limit": "8ms", "level": "warn", "dtype": "int8"}. Names: macs, flops, params,
        weights, read, written, arena, peak.eager, peak.unfused, peak.fused, latency.BACKEND. A part
        follows its metric: macs.head, latency.onnxruntime.12.
    dtype, batch: which bytes and timings are checked; by default all those of a run.

    A latency that was not measured does not pass. Raises InputError.

    >>> mnv3prof.check("small", {"macs": "60M", "arena": "1MiB"}).passed
    False
    """
    require(budgets, Mapping, "check", 'limits by name, e.g. {"macs": "220M"}')
    for name in budgets:
        require(name, str, "check", "the name of a budget")
    wanted = budgets_from(budgets, "check", place_of)
    require_size(dtype, batch)
    sources = sources_of([checked] if baseline is None else [checked, baseline], "check")
    now, *before = sides(*sources, dtype=dtype, batch=batch)
    if not before and (relative := [each for each in wanted if each.change is not None]):
        name, limit = relative[0].name, relative[0].written
        raise InputError(f"check: {name}: {limit} is relative; expected also a baseline")
    return Check(now, judge(wanted, now, before[0] if before else None))


def require_size(dtype: object, batch: object) -> None:
    """Raise InputError unless a dtype and a number of images are possible, or None."""
    if dtype is not None:
        one_of(dtype, DTYPE_BYTES, "dtype")
    if batch is not None:
        require_at_least_1(batch, "batch")


def report(*runs: str | Path | Run, output: str | Path) -> Path:
    """Write a self-contained HTML page of one run, or of several side by side, and return its path.

    runs: what measure() returned, or saved runs and reports. output: path that ends in .html. Raises
    InputError.

    >>> mnv3prof.report("run.json", output="small.html").name
    'small.html'
    """
    if not runs:
        raise InputError("report: no run is given; expected what measure() returns, or a saved run")
    for each in runs:
        require(each, (Run, str, Path), "report", "what measure() returns, or the path of a saved run")
    sources = sources_of(runs, "report")
    for source in sources:
        if not source.runs:
            raise InputError(f"report: {source.text} holds no run; expected what measure() returns")
    text = page_of([run for s in sources for run in s.runs], [one for s in sources for one in s.evidence])
    return write(text, output, (".html", ".htm"), "report")


def tables(result: Graph | Subject | Run | Comparison | Diff | Check) -> Sheets:
    """Return the tables that the command line shows of a result; a notebook shows them as HTML.

    Raises InputError for anything else.

    >>> [table.title for table in mnv3prof.tables(mnv3prof.load("small"))]
    ['MobileNetV3-Small at 224×224: cost by block']
    """
    match result:
        case Subject():
            return tables(result.graph)
        case Graph():
            return Sheets([cost_sheet(result, count(result))])
        case Run():
            return Sheets([*busy_sheets(result), *answer_sheets(result), *latency_sheets(result)])
        case Comparison():
            saved = separable_savings([subject.listed for subject in result.subjects])
            return Sheets([totals_sheet(result.costs), blocks_sheet(result.costs, saved)])
        case Diff():
            return Sheets(diff_sheets(result))
        case Check():
            return Sheets(gate_sheets(result.checked, result.judgments))
    raise InputError(
        f"tables: {type(result).__name__} has no tables; expected a Graph, Subject, Run, Comparison, Diff "
        "or Check"
    )


def frame(data: Any) -> pd.DataFrame:
    """Return a pandas DataFrame.

    data: a Run (a row per timing, in seconds), a Diff (a row per change), a Check (a row per verdict), one
        of the tables that tables() returned, or structs of one type, such as rows, layers, costs, totals
        and placements (a row each, a column per field).

    Integers stay integers: a column with missing values has the dtype Int64. Columns of yes and no, such as
    noisy, have the dtype boolean. Raises InputError.

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
            return frames.frame(verdicts_data(data.judgments))
    return frames.frame(data)
