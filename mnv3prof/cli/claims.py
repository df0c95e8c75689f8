"""`mnv3prof claims`: what becomes of the article's statements on this machine."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from ..arch.table import InputError
from ..claims.claim import judge, wishes
from ..record.findings import Evidence, findings_document, is_findings, read_evidence
from ..record.run import Run
from ..show.claims import claims_sheets, findings_sheet, working_sheets
from ..show.comparison import label
from .measuring import ThreadsOption, TimeBudgetOption, progress, seconds_in_range
from .options import NoCacheOption, OnOption, Settings, backend_names, in_range, spread
from .output import Output, Result, emit

_CLAIM = re.compile(r"[KT][0-9]{1,2}", re.IGNORECASE | re.ASCII)


@spread
def claims(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHAT]...", help="Claims (K1 to K11, T1 to T3), a table (large), or a file of findings."
        ),
    ] = None,
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the working: formulas with numbers in place.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time what can be timed, within 3 minutes.")
    ] = False,
    on: OnOption = None,
    threads: ThreadsOption = 1,
    time_budget: TimeBudgetOption = 60.0,
    no_cache: NoCacheOption = False,
    settings: Settings,
    output: Output,
) -> None:
    """Try the article's claims: what it says, what we found, how, and whether it holds.

    What is computed is there at once. --measure times the rest on the backends of --on (by default
    cpu, onnxruntime and cpu-compile). --output FILE.json keeps the findings with all their evidence,
    and claims FILE.json shows them again.

    Example: mnv3prof claims K3 --explain
    """
    names, source = _named(what or [])
    evidence = read_evidence(Path(source)) if is_findings(Path(source)) else _paper(source, settings)
    if measure:
        evidence = replace(evidence, runs=_measured(evidence, names, on, threads, time_budget, no_cache))
    found = judge(evidence, names)
    table = findings_sheet(found, label(evidence.graph))
    sheets = working_sheets(found) if explain else claims_sheets(found, label(evidence.graph))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    emit(Result(sheets, table, lambda: findings_document(evidence, found, created)), output)
    if any(timing.stopped == "interrupted" for run in evidence.runs for timing in run.timings):
        raise typer.Exit(130)


def _named(what: list[str]) -> tuple[tuple[str, ...], str]:
    """The claims' names, and the table or file. Raises InputError for several."""
    names = tuple(word.upper() for word in what if _CLAIM.fullmatch(word))
    others = [word for word in what if not _CLAIM.fullmatch(word)]
    if len(others) > 1:
        raise InputError(f"claims: {len(others)} tables are too many; allowed is one, beside claims as K3")
    return names, others[0] if others else "large"


def _paper(source: str, settings: Settings) -> Evidence:
    return Evidence(graph=settings.graph(source))


def _measured(
    evidence: Evidence, names: tuple[str, ...], on: str | None, threads: int, budget: float, no_cache: bool
) -> tuple[Run, ...]:
    from ..bench.cache import default_folder
    from ..claims.measure import BACKENDS, Measuring
    from ..claims.measure import measure as measure_wishes

    in_range(threads, "--threads", 1, 1_024)
    seconds_in_range(budget, "--time-budget")
    backends = BACKENDS if on is None else backend_names(on)
    how = Measuring(backends, threads, budget, None if no_cache else default_folder())
    with progress() as hear:
        return measure_wishes(evidence.graph, wishes(evidence.graph, names), how, hear)
