"""`mnv3prof latency`: what every part really costs, on each runtime."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final, Literal

import typer

from ..arch.table import InputError, shown
from ..bench.backends import backend
from ..bench.host import processor
from ..bench.schedule import measure
from ..record.document import latency_document
from ..record.run import NET
from ..show.latency import latency_sheet, samples_sheet
from .options import Settings, TableArgument, in_range, spread
from .output import Output, Result, emit

_MOST_SECONDS: Final = 86_400.0


@spread
def latency(
    table: TableArgument = "large",
    *,
    on: Annotated[str, typer.Option("--on", metavar="NAMES", help="Backends, separated by commas.")] = "cpu",
    parts: Annotated[
        Literal["net", "blocks", "all"],
        typer.Option("--parts", help="The whole network, its blocks one by one, or both."),
    ] = "all",
    batch: Annotated[int, typer.Option("--batch", help="Number of images.")] = 1,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each runtime.")] = 1,
    time_budget: Annotated[
        float, typer.Option("--time-budget", help="Seconds of sampling over all parts and backends.")
    ] = 60.0,
    settings: Settings,
    output: Output,
) -> None:
    """Time the stem, each block, the head, the classifier and the network on every backend asked for.

    Each backend has a process of its own, and each output is compared with PyTorch's: one that
    differs exits with 1.

    Example: mnv3prof latency small --on cpu --parts net --time-budget 2
    """
    in_range(batch, "--batch", 1, 1_024)
    in_range(threads, "--threads", 1, 1_024)
    if not 0 < time_budget <= _MOST_SECONDS:
        allowed = f"allowed is a number above 0, at most {_MOST_SECONDS:,.0f}"
        raise InputError(f"--time-budget: {shown(time_budget)} is not allowed; {allowed}")
    names = [name.strip() for name in dict.fromkeys(on.split(","))]
    for name in names:
        backend(name)
    graph = settings.graph(table)
    wanted = {"net": (NET,), "blocks": graph.blocks, "all": (*graph.blocks, NET)}[parts]
    with _progress() as hear:
        timings = measure(graph, wanted, names, batch=batch, threads=threads, budget_s=time_budget, hear=hear)
    sheet = latency_sheet(graph, timings, processor())
    emit(Result((sheet,), samples_sheet(graph, timings), lambda: latency_document(graph, timings)), output)
    if any(timing.status == "wrong" for timing in timings):
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows the sentence it was last told, on a terminal's standard error."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    # Drawn seldom: drawing takes processor time from what is measured.
    with console.status("starting the runtimes", refresh_per_second=1) as status:
        yield status.update
