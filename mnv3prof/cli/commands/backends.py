"""`mnv3prof backends`: list backends and check whether they work."""

from typing import Annotated, Any, Final

import typer

from ...record.target import Target
from ...record.timing import Timing
from ...show.latency import backends_sheet
from ...workers.backends import backend, compiles, names, usable
from ...workers.cache import opened
from ...workers.cache_folder import usable_folder
from ...workers.formats import get_format
from ..interrupts import stopped
from ..options import measuring_option
from ..output import Output, Result, emit
from ..spread import spread
from ..streams import say
from ..trial import tried, verdict

_NOT_RUN: Final = "not run: interrupted"


@spread
def backends(
    *,
    check: Annotated[
        bool, measuring_option("--check", help="Run a small block on each backend and compare its output.")
    ] = False,
    output: Output,
) -> None:
    """List backends and whether each one works on this machine.

    --check prints each result to standard error at once, and exits with 1 if an available backend
    fails. Ctrl-C ends it, with the results so far.

    Example: mnv3prof backends
    """
    backends = {name: (backend(name), usable(name)) for name in names()}
    wanted = [name for name, (_, here) in backends.items() if check and here.ok]
    checked = _check(wanted)
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "what": what.WHAT,
            "version": here.version or None,
            "chip": here.chip or None,
            "dtypes": what.DTYPES,
            "usable": here.ok,
            "reason": here.reason,
            "check": verdict(checked[name]) if name in checked else _NOT_RUN if name in wanted else None,
        }
        for name, (what, here) in backends.items()
    ]
    sheet = backends_sheet(rows)
    emit(Result((sheet,), sheet, lambda: {"backends": rows}), output)
    if len(checked) < len(wanted):
        raise stopped(f"{len(checked)} of {len(wanted)} backends were checked; the same command starts again")
    if any(timing.status != "ok" for timing in checked.values()):
        raise typer.Exit(1)


def _check(backends: list[str]) -> dict[str, Timing]:
    """Time a small block on each backend, the fast ones first, and print each result at once.

    After an interrupt, the rest is missing in the result.
    """
    timings: dict[str, Timing] = {}
    with opened(usable_folder(say)) as folder:
        for name in sorted(backends, key=_load_effort):
            (timing,) = tried((Target(backend=name),), folder, f"checking {name}")
            if timing.stopped == "interrupted":
                break
            timings[name] = timing
            say(f"{name}: {verdict(timing)}")
    return timings


def _load_effort(name: str) -> tuple[bool, bool, bool]:
    """Return what makes loading slow: compilation, a slow converter, any converter."""
    needed = backend(name).FORMAT
    return compiles(name), bool(needed) and getattr(get_format(needed), "SLOW", False), bool(needed)
