"""`mnv3prof sweep`: sample the networks of a design space, with their costs."""

from pathlib import Path
from typing import Annotated

import typer

from ...graph.errors import InputError, any_of, printable
from ...interface.points import Swept
from ...show.points import sweep_sheet
from ...space.points.files import SUFFIXES, Writer, require_parquet
from ...space.points.sweep import Tally, in_order, jobs_of, points
from ..interrupts import deferred, stopped
from ..output import Output, Result, check_writable, emit, file_option, writing
from ..points import Sampling, WhereOption, conditions, swept, ticking
from ..progress import progress
from ..spaces import SPACE_HELP
from ..spread import spread


@spread
def sweep(
    space: Annotated[str, typer.Argument(metavar="SPACE", help=SPACE_HELP)],
    *,
    where: WhereOption = None,
    sampling: Sampling,
    output: Annotated[Path | None, file_option(False)] = None,
) -> None:
    """Sample networks of a design space with their costs.

    --output FILE.csv or FILE.parquet gets a row per network: its name, such as ofa#123, which every
    command takes, then macs, flops, params, and in bytes weights, read, written and peak.fused (the lower
    bound of an arena). All values are exact. Samples are drawn independently, with the same chance for every
    network; without --count, or with one of at least the size of the space, all networks are listed. The
    same seed gives the same file, whatever computes it. Accuracy is not known.

    Ctrl-C writes a whole file of what was computed. --scheduler computes on the workers of a Dask cluster,
    which need the same version of mnv3prof; a job whose worker dies is computed again.

    Example: mnv3prof sweep near-small -n 10k --where "macs<=30M" -o points.csv
    """
    sampling.check()
    if output is None:
        raise InputError(f"--output FILE{SUFFIXES[0]} or FILE{SUFFIXES[1]} is required")
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{printable(str(output))}: has another suffix; expected {any_of(SUFFIXES)}")
    check_writable(output)
    if suffix == ".parquet":
        require_parquet()
    source = swept(space, sampling, conditions(where))
    tally = Tally()
    try:
        with writing(output) as file:
            _write(Writer(file, suffix, f"{space}#"), source, sampling, tally)
    except KeyboardInterrupt:
        computed = f"{tally.seen:,} networks were" if tally.seen else "nothing was"
        raise stopped(f"{computed} sampled, and {printable(str(output))} is not written") from None
    name = printable(str(output))
    if tally.seen < source.total:
        kept = f"{tally.kept:,} satisfy the conditions and are" if tally.kept < tally.seen else "they are"
        raise stopped(f"{tally.seen:,} of {source.total:,} networks were computed; {kept} in {name}")
    emit(Result((sweep_sheet(name, tally),), sweep_sheet(name, tally), lambda: None), Output())


def _write(writer: Writer, source: Swept, sampling: Sampling, tally: Tally) -> None:
    """Write what is computed, until an interrupt if something was."""
    jobs = jobs_of(source.space, source.tables, source.samples, seed=source.seed, where=source.where)
    with sampling.opened() as workers, progress() as on_progress:
        tell = ticking(on_progress, "sampling", source.total)
        found = in_order(points, jobs, *workers)
        try:
            for each in found:
                with deferred():
                    writer.write(each)
                    tally.add(each)
                tell(tally.seen)
        except KeyboardInterrupt:
            if not tally.seen:
                raise
        finally:
            found.close()
    writer.close()
