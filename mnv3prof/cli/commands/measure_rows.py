"""`mnv3prof measure-rows`: measure blocks and networks of a space, from which others are estimated."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from ...graph.errors import InputError, printable, quote
from ...record.rows import RowTable, encoded_rows
from ...show.estimates import errors_sheet
from ..estimating import errors_of
from ..interrupts import INTERRUPTED, stopping
from ..latency_options import (
    TIMEOUT_S,
    BatchesOption,
    DtypesOption,
    OnOption,
    ThreadsOption,
    TimeoutOption,
    seconds_in_range,
    targets_of,
    time_budget_option,
)
from ..options import NoCacheOption, ResumeOption, in_range, network_option
from ..output import Output, Result, check_writable, emit, file_option, write
from ..progress import progress, step
from ..spread import spread
from ..streams import command_line, say

if TYPE_CHECKING:
    from ...estimate.measure import RowsRequest

_MOST: Final = 100_000
_MOST_SEED: Final = 2**53


class RowSampling(msgspec.Struct, frozen=True):
    """What is measured of a space, where, and for how long."""

    count: Annotated[
        int, network_option("--count", metavar="N", help="Number of distinct blocks to measure, at least 10.")
    ] = 400
    nets: Annotated[
        int,
        network_option(
            "--nets", metavar="N", help="Number of random networks to measure as a whole, at least 5."
        ),
    ] = 30
    seed: Annotated[int, network_option("--seed", help="Random seed.")] = 0
    on: OnOption = None
    dtype: DtypesOption = None
    batch: BatchesOption = None
    threads: ThreadsOption = None
    time_budget: Annotated[float | None, time_budget_option("0.5 per part and target")] = None
    timeout: TimeoutOption = TIMEOUT_S
    no_cache: NoCacheOption = False

    def request(self, space: str) -> "RowsRequest":
        """Return what to measure. Raises InputError for invalid options."""
        from ...bench.obstacles import require_one
        from ...estimate.measure import RowsRequest
        from ...estimate.model import LEAST_BLOCKS, LEAST_NETWORKS
        from ...space.files import open_space
        from ...workers.cache_folder import usable_folder

        in_range(self.count, "--count", LEAST_BLOCKS, _MOST)
        in_range(self.nets, "--nets", LEAST_NETWORKS, _MOST)
        in_range(self.seed, "--seed", 0, _MOST_SEED)
        if self.time_budget is not None:
            seconds_in_range(self.time_budget, "--time-budget")
        seconds_in_range(self.timeout, "--timeout")
        targets = targets_of(self.on, self.dtype, self.batch, self.threads, self.timeout)
        require_one(targets, "--on")
        return RowsRequest(
            open_space(space),
            targets,
            self.count,
            self.nets,
            self.seed,
            self.time_budget,
            self.timeout,
            None if self.no_cache else usable_folder(say),
            command_line(),
        )


@spread
def measure_rows(
    space: Annotated[
        str, typer.Argument(metavar="SPACE", help="A space: a preset of spaces, or a file in TOML.")
    ],
    *,
    sampling: RowSampling,
    resume: ResumeOption = False,
    output: Annotated[Path | None, file_option(False)] = None,
) -> None:
    """Measure blocks and networks of a space, to estimate the latency of its other networks.

    --count blocks are chosen so that they cover the space, and --nets networks at random. From their times
    latency --latency-table and fit --latency-table estimate networks that were never measured. Each part is
    measured as latency does it, also on other devices, and its output is compared with PyTorch's. Printed are
    the errors of such estimates: each block and network is predicted by a model that was fitted without it.
    --output FILE.json is required. It is saved after each batch of parts, and --resume measures the missing
    ones.

    Exit code 1: an output differs from PyTorch's, or no target has enough times for estimates.

    Example: mnv3prof measure-rows near-small --count 10 --nets 5 -o rows.json
    """
    if output is None or output.suffix.lower() != ".json":
        raise InputError("measure-rows: --output FILE.json is required")
    check_writable(output)
    request = sampling.request(space)
    known = _saved(request, output) if resume and output.exists() else None
    table, interrupted = _measured(request, known, output)
    with step("fitting models"):
        found = errors_of(request.space, table, request.targets)
    emit(Result((errors_sheet(table, found),), errors_sheet(table, found), lambda: None), Output())
    if interrupted:
        say(f"mnv3prof: stopped; {_kept(table, request, output)}")
        raise typer.Exit(INTERRUPTED)
    if any(timing.status == "mismatch" for timing in table.timings) or all(each.reason for each in found):
        raise typer.Exit(1)


def _saved(request: "RowsRequest", path: Path) -> RowTable:
    from ...bench.host import processor
    from ...estimate.files import read_table_of
    from ...record.run import HERE

    table = read_table_of(request.space, path)
    if table.seed != request.seed:
        raise InputError(
            f"{printable(str(path))}: was measured with --seed {table.seed}; expected the same with --resume"
        )
    if HERE in {t.device for t in (*table.targets, *request.targets)} and (
        table.hosts[HERE].cpu != processor()
    ):
        raise InputError(
            f"{printable(str(path))}: was measured on {quote(table.hosts[HERE].cpu)}, and this is "
            f"{quote(processor())}; expected with --resume the same machine"
        )
    return table


def _measured(request: "RowsRequest", known: RowTable | None, path: Path) -> tuple[RowTable, bool]:
    from ...estimate.measure import measure_rows as measure

    latest = [known] if known else []

    def store(table: RowTable) -> None:
        latest[:] = [table]
        write(path, encoded_rows(table))

    with (
        stopping(lambda: _kept(latest[0], request, path) if latest else "nothing was measured yet"),
        progress() as on_progress,
    ):
        return measure(request, known, on_progress, store)


def _kept(table: RowTable, request: "RowsRequest", path: Path) -> str:
    done = sum(timing.final and timing.target in request.targets for timing in table.timings)
    every = (table.count + table.nets) * len(request.targets)
    others = "; the others are measured again" if done < len(table.timings) else ""
    complete = f"{done} of {every} times are complete in {printable(str(path))}"
    return f"{complete}; continue with the same command and --resume{others}"
