"""`mnv3prof fit`: find the largest networks within budgets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from msgspec.structs import replace

from ...bench.progress import Progress
from ...budgets.choosing import MOST_TOP, Fit, fit_space, fit_tables
from ...budgets.document import fit_document
from ...budgets.limits import Budget
from ...graph.errors import InputError, one_of
from ...mobilenetv3.files import PRESETS, preset
from ...show.choosing import fit_sheet
from ...show.costs import table_sheet
from ...space.costs import SUMS
from ...space.space import Space
from ..estimating import LatencyTableOption, latencies_of
from ..given_budgets import BudgetOption, budgets_of_spaces
from ..interrupts import stopping
from ..latency_options import LatencyOptions, measured
from ..options import budget_option, in_range, measuring_option
from ..output import Output, Result, emit
from ..progress import progress
from ..runs import emit_run
from ..spaces import SPACE_HELP, costs_of_space, opened_space
from ..spread import spread

_MOST_MEASURED: Final = 8


@spread
def fit(
    space: Annotated[
        str | None,
        typer.Argument(
            metavar="SPACE",
            help=f"{SPACE_HELP} Of a layer table, several widths and inputs.",
            show_default="all presets at several widths and inputs",
        ),
    ] = None,
    *,
    budget: BudgetOption = None,
    maximize: Annotated[
        str, budget_option("--maximize", metavar="NAME", help=f"What to have most of: {', '.join(SUMS)}.")
    ] = "macs",
    top: Annotated[int, budget_option("--top", help="Number of networks.")] = 1,
    measure: Annotated[
        int, measuring_option("--measure", help="Number of networks that are timed, on the backends of --on.")
    ] = 0,
    latency_table: LatencyTableOption = None,
    latency_options: LatencyOptions,
    output: Output,
) -> None:
    """Find the largest networks within budgets.

    Names of budgets are those of `check`: macs, flops, params, weights, read, written, peak.fused, arena.
    Bytes are for --dtype.

    A space is a layer table in TOML in which a value may be a list of choices. width, input, head, last and
    classes are chosen once. A stage has out, stride, depth and, as choices of each row, kernel, expand (a
    width) or ratio (of the input width, to a multiple of divisor), se, activation and other keys of rows;
    stage.se and the like are chosen once for a stage. SPACE#NUMBER is one of its networks, which other
    commands take as SOURCE. Of networks that are equal, e.g. where widths are rounded, one is shown.

    latency.BACKEND=5ms limits a latency that is estimated from measured rows, --latency-table; the error of
    such estimates is shown.

    Over a space the result is proven for limits on sums and on the fused peak. For the arena it is proven
    where the largest by peak fit, or all larger ones were planned. With a limit on what is maximized, the
    most that can be missing is printed. Without a space, the presets are tried at the widths and inputs of
    published results, with the published top-1.

    Exit code 1: nothing is within the budgets.

    Example: mnv3prof fit ofa --budget params=2M --budget arena=1M
    """
    one_of(maximize, SUMS, "--maximize")
    in_range(top, "--top", 1, MOST_TOP)
    in_range(measure, "--measure", 0, _MOST_MEASURED)
    batch = latency_options.size()[1]
    if any(len(values) > 1 for values in latency_options.settings()):
        raise InputError("--dtype, --batch and --threads: budgets are for one of each; expected no list")
    if batch != 1:
        raise InputError("--batch: budgets are for one image; expected 1, or no --batch")
    threads = latency_options.threads if latency_table else None
    if not measure and latency_options != LatencyOptions(
        dtype=latency_options.dtype, threads=threads, no_cache=latency_options.no_cache
    ):
        raise InputError("fit: the options of measuring, e.g. --on, require --measure")
    budgets = budgets_of_spaces(budget)
    with stopping(lambda: "nothing was found; the same command starts again"):
        found = _found(space, _Request(budgets, maximize, max(top, measure), latency_options, latency_table))
    shown = (fit_sheet(found), *(table_sheet(each.subject) for each in found.networks[:1]))
    document = fit_document(found)
    if measure and found.networks:
        subjects = {each.source: each.subject for each in found.networks[:measure]}
        first, *others = subjects.values()
        named = {"": first, **dict(zip([*subjects][1:], others, strict=True))}
        options = replace(latency_options, parts=latency_options.parts or "net")
        emit_run(measured(options.request(named), output), output, before=shown, also={"fit": document})
    else:
        emit(Result(shown, shown[0], lambda: document), output)
    if not found.networks:
        raise typer.Exit(1)


class _Request(NamedTuple):
    """What to find."""

    budgets: Sequence[Budget]
    maximize: str
    top: int
    options: LatencyOptions
    latency_table: Path | None


def _found(text: str | None, request: _Request) -> Fit:
    space = None if text is None else opened_space(text)
    dtype, no_cache = request.options.size()[0], request.options.no_cache
    if not isinstance(space, Space):
        tables = {text: space.subject.table} if text and space else {name: preset(name) for name in PRESETS}
        if request.latency_table is not None:
            raise InputError("--latency-table: is of the networks of a space; expected one as SPACE")
        return fit_tables(tables, request.budgets, maximize=request.maximize, top=request.top, dtype=dtype)
    threads = request.options.settings()[2][0] if request.options.threads else None
    latencies = latencies_of(space, request.latency_table, request.budgets, dtype, threads, no_cache=no_cache)
    counted = costs_of_space(space, dtype, no_cache=no_cache)
    with progress() as on_progress:
        return fit_space(
            space,
            counted,
            request.budgets,
            maximize=request.maximize,
            top=request.top,
            dtype=dtype,
            latencies=latencies,
            note=lambda what: on_progress(Progress(what)),
        )
