"""`mnv3prof backends`: the runtimes there are, and whether they work here."""

from typing import Annotated, Any

import typer

from ...bench.backends import backend, names, usable
from ...bench.cache import opened
from ...bench.cache_folder import usable_folder
from ...bench.schedule import Plan, Watcher, measure
from ...device.protocol import Piece
from ...mobilenetv3.table import Row, Table
from ...record.run import Subject
from ...record.target import Target
from ...record.timing import Timing
from ...show.latency import backends_sheet
from ..output import Output, Result, emit
from ..progress import progress
from ..spread import spread
from ..streams import say


@spread
def backends(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Run one small block on each, and say whether it worked.")
    ] = False,
    output: Output,
) -> None:
    """Tell which runtimes there are, which of them can run here, and why the others cannot.

    --check exits with 1 if one that can run here fails.

    Example: mnv3prof backends
    """
    found = {name: (backend(name), usable(name)) for name in names()}
    checked = _check([name for name, (_, here) in found.items() if here.ok]) if check else {}
    rows: list[dict[str, Any]] = [
        {
            "name": name, "what": what.WHAT, "version": here.version or None,
            "chip": here.chip or None, "dtypes": what.DTYPES,
            "usable": here.ok, "reason": here.reason, "check": _verdict(checked.get(name)),
        }
        for name, (what, here) in found.items()
    ]  # fmt: skip
    sheet = backends_sheet(rows)
    emit(Result((sheet,), sheet, lambda: {"backends": rows}), output)
    if any(timing.status != "ok" for timing in checked.values()):
        raise typer.Exit(1)


def _check(backends: list[str]) -> dict[str, Timing]:
    row = Row(expand=16, out=8, kernel=3, stride=1, se=True, activation="HS")
    subject = Subject(Table(name="check", rows=(row,), stem=8, last=8, classes=8), (32, 32))
    block = subject.graph.block_names[1]
    targets = tuple(Target(backend=name) for name in backends)
    with progress() as hear, opened(usable_folder(say)) as folder:
        plan = Plan({"": subject}, (Piece("", block),), targets, folder, 0.1 * len(backends))
        return {timing.target.backend: timing for timing in measure(plan, Watcher(hear))}


def _verdict(timing: Timing | None) -> str | None:
    if timing is None:
        return None
    return f"PASS ({timing.max_rel_err:.0e} off)" if timing.status == "ok" else f"FAIL: {timing.reason}"
