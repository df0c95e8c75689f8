"""Estimates of latencies from the measured rows of a space."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ..budgets.choosing import Latency
from ..budgets.figures import LATENCY
from ..budgets.limits import Budget
from ..cost.counts import Dtype
from ..graph.errors import InputError, any_of, printable
from ..record.rows import Estimate, RowTable
from ..record.run import Subject
from ..record.target import Target
from ..show.estimates import Errors, estimate_data, estimate_sheet
from .latency_options import LatencyOptions
from .options import measuring_option, open_source
from .output import Output, Result, emit
from .progress import step
from .streams import say

if TYPE_CHECKING:
    from ..space.space import Space

LatencyTableOption = Annotated[
    Path | None,
    measuring_option(
        "--latency-table",
        metavar="FILE",
        help="Estimate the latency from the rows that measure-rows saved in FILE.json, and measure nothing.",
        show_default=False,
    ),
]


def emit_estimates(source: str | None, path: Path, options: LatencyOptions, output: Output) -> None:
    """Print the latency of a network of a space as estimated from a file of rows. Raises InputError.

    options: which of the file's targets.
    """
    from ..estimate.files import read_table_of

    subject, space = _network_of(source)
    where = printable(str(path))
    with step(f"reading {where}"):
        table = read_table_of(space, path)
        targets = options.selected_targets(table.targets, where)
        estimates = _estimates(space, table, targets, subject, where)
    sheet = estimate_sheet(subject.graph, estimates)
    emit(Result((sheet,), estimate_data(estimates), lambda: _document(source, table, estimates)), output)


def _network_of(source: str | None) -> "tuple[Subject, Space]":
    """Return the network that SPACE#NUMBER names, and its space. Raises InputError."""
    from ..space.files import open_space

    file, hash_, _ = (source or "").rpartition("#")
    if not hash_ or Path(file).suffix.lower() in (".html", ".htm"):
        raise InputError(
            f"--latency-table: {printable(source or 'no SOURCE')} is no network of a space; expected "
            "SPACE.toml#NUMBER"
        )
    return open_source(str(source)).subject, open_space(file)


def _estimates(
    space: "Space", table: RowTable, targets: tuple[Target, ...], subject: Subject, where: str
) -> list[Estimate]:
    """Return the estimates of the targets that have enough times. Raises InputError if none has."""
    from ..estimate.model import fitted

    found, problem = [], None
    for target in targets:
        try:
            found.append(fitted(space, table, target).estimate(subject))
        except InputError as error:
            problem = problem or error
    if not found:
        raise InputError(f"{where}: {problem or 'has no times'}")
    return found


def latencies_of(
    space: "Space",
    path: Path | None,
    budgets: Sequence[Budget],
    dtype: Dtype,
    threads: int | None,
    *,
    no_cache: bool,
) -> dict[str, Latency]:
    """Return the estimates that budgets limit, by the budget's name; those of all targets if none does.

    path: of the file of rows, None for none. threads: of the targets, None for any. Raises InputError.
    """
    from ..estimate.columns import latency_of
    from ..estimate.files import read_table_of
    from ..workers.cache_folder import usable_folder

    wanted = list(dict.fromkeys(each.metric for each in budgets if each.metric.startswith(LATENCY)))
    if path is None:
        if wanted:
            raise InputError(f"budget {wanted[0]}: is estimated from rows; --latency-table is required")
        return {}
    where = printable(str(path))
    with step(f"estimating latencies from {where}"):
        table = read_table_of(space, path)
        found = {}
        usable = [
            t for t in table.targets if t.dtype == dtype and t.batch == 1 and threads in (None, t.threads)
        ]
        has = any_of(dict.fromkeys(f"{t.place} ({t.settings})" for t in table.targets) or ["none"])
        if not usable:
            raise InputError(f"{where}: has no rows in {dtype} of one image; expected {has}")
        for name in wanted or dict.fromkeys(LATENCY + t.place for t in usable):
            targets = [t for t in usable if LATENCY + t.place == name]
            if len(targets) > 1:
                settings = any_of(t.settings for t in targets)
                raise InputError(f"{where}: has rows of {name} with {settings}; expected --threads")
            if not targets:
                raise InputError(f"{where}: has no rows of {name} in {dtype}; expected {has}")
            folder = None if no_cache else usable_folder(say)
            found[name] = latency_of(space, table, targets[0], folder)
    return found


def errors_of(space: "Space", table: RowTable, targets: tuple[Target, ...]) -> list[Errors]:
    """Return the held-out errors of each target, or why it has none."""
    from ..estimate.model import fitted

    found = []
    for target in targets:
        try:
            model = fitted(space, table, target)
        except InputError as error:
            found.append(Errors(target, reason=str(error)))
        else:
            trees = model.predictor.trees is not None
            found.append(Errors(target, model.blocks_held_out, model.networks_held_out, model.clock, trees))
    return found


def _document(source: str | None, table: RowTable, estimates: list[Estimate]) -> dict[str, Any]:
    return {
        "network": source,
        "space": table.space,
        "measured": table.created,
        "estimates": [msgspec.to_builtins(each) for each in estimates],
    }
