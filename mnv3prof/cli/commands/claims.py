"""`mnv3prof claims`: what becomes of the article's statements on this machine."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec.structs import replace

from ...claims.claim import arms, judge, wishes
from ...graph.errors import InputError
from ...record.findings import Evidence, Trial, findings_document
from ...record.run import Run
from ...record.target import MOST
from ...record.whole import replace_file
from ...show.claims import claims_sheets, findings_sheet, working_sheets
from ...show.comparison import label
from ...source import open_source
from ..interrupts import stopped, what_is_saved
from ..measuring import ThreadsOption, TimeBudgetOption, budget_of
from ..network import Settings
from ..options import (
    DEFAULT_SOURCE,
    SOURCE_HELP,
    EpochsOption,
    NoCacheOption,
    OnOption,
    backend_names,
    in_range,
)
from ..output import Output, Result, emit, form_of
from ..progress import progress
from ..runs import nothing_timed
from ..spread import spread
from ..streams import say

if TYPE_CHECKING:
    from ...claims.trials import Plan

_CLAIM = re.compile(r"[KT][0-9]{1,2}", re.IGNORECASE | re.ASCII)


class Trying(msgspec.Struct, frozen=True):
    """What to measure and train, and how."""

    measure: Annotated[bool, typer.Option("--measure", help="Time what can be timed, within 3 minutes.")] = (
        False
    )
    train: Annotated[
        bool, typer.Option("--train", help="Train what can be trained, on digits, within 25 minutes.")
    ] = False
    on: OnOption = None
    threads: ThreadsOption = 1
    time_budget: TimeBudgetOption = None
    epochs: EpochsOption = 40
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings of each kind, with a seed each.")] = 3
    no_cache: NoCacheOption = False


@spread
def claims(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHAT", help=f"Claims (K1 to K11, T1 to T3), and the network. {SOURCE_HELP}"),
    ] = None,
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the working: formulas with numbers in place.")
    ] = False,
    trying: Trying,
    settings: Settings,
    output: Output,
) -> None:
    """Try the article's claims: what it says, what we found, how, and whether it holds.

    What is computed is there at once. --measure times the rest on the backends of --on (by default
    cpu, onnxruntime and cpu-compile). --train trains Small at width 0.35 on digits of 32x32 with one
    thing changed at a time; --epochs is the most, fewer where 25 minutes do not suffice, and the
    trainings are kept and gone on with until --no-cache. --output FILE.json keeps findings and
    evidence, and claims FILE.json judges them again.

    Example: mnv3prof claims K3 --explain
    """
    names, source = _named(what or [])
    evidence = _evidence(source, settings)
    unfinished, timings = False, []
    if trying.measure:
        runs = _measured(evidence, names, trying)
        timings = [timing for run in runs for timing in run.timings]
        evidence = replace(evidence, runs=(*runs, *evidence.runs))
        unfinished = any(t.stopped == "interrupted" for run in evidence.runs for t in run.timings)
    if trying.train and not unfinished:
        evidence, unfinished = _trained(evidence, names, trying)
    found = judge(evidence, names)
    table = findings_sheet(found, label(evidence.graph))
    shown = claims_sheets(found, label(evidence.graph), evidence.trials)
    sheets = working_sheets(found) if explain else shown
    created = datetime.now(UTC).isoformat(timespec="seconds")
    emit(Result(sheets, table, lambda: findings_document(evidence, found, created)), output)
    if unfinished:
        raise stopped(_what_is_saved(evidence, trying, output))
    if nothing_timed(timings):
        raise typer.Exit(1)


def _what_is_saved(evidence: Evidence, trying: Trying, output: Output) -> str:
    """What an interrupt left of times and trainings, and where."""
    path = output.output if output.output and form_of(output) == "json" else None
    timings = [timing for run in evidence.runs for timing in run.timings]
    said = [what_is_saved(timings, path, "")] if timings else []
    if trying.train:
        again = "the same command continues with the others" if not trying.no_cache else "none is saved"
        said.append(f"{len(evidence.trials)} trainings are finished; {again}")
    return "; ".join(said)


def _named(what: list[str]) -> tuple[tuple[str, ...], str]:
    """The claims' names, and the table or file. Raises InputError for several."""
    names = tuple(word.upper() for word in what if _CLAIM.fullmatch(word))
    others = [word for word in what if not _CLAIM.fullmatch(word)]
    if len(others) > 1:
        raise InputError(f"claims: {len(others)} networks are too many; expected one, beside claims, e.g. K3")
    return names, others[0] if others else DEFAULT_SOURCE


def _evidence(source: str, settings: Settings) -> Evidence:
    """The evidence in the findings called `source`; of another source, the network as computed."""
    opened = open_source(source)
    if opened.findings is None:
        return Evidence(subject=settings.variant(opened.subject, opened.text))
    if settings != Settings():
        raise InputError(
            f"{source}: holds findings of one network, which options cannot change; leave them out"
        )
    return opened.findings


def _measured(evidence: Evidence, names: tuple[str, ...], trying: Trying) -> tuple[Run, ...]:
    from ...bench.cache_folder import usable_folder
    from ...bench.obstacles import require_one
    from ...claims.measure import BACKENDS, Measuring, targets
    from ...claims.measure import measure as measure_wishes

    in_range(trying.threads, "--threads", 1, MOST)
    budget = budget_of(trying.time_budget)
    backends = BACKENDS if trying.on is None else backend_names(trying.on)
    folder = None if trying.no_cache else usable_folder(say)
    how = Measuring(backends, trying.threads, budget, folder)
    wanted = wishes(evidence.subject, names)
    if wanted and not targets(wanted, how):
        raise InputError(f"--on: {', '.join(backends)} can time none of these claims; expected e.g. cpu")
    require_one(targets(wanted, how), "--on")
    with progress() as hear:
        return measure_wishes(evidence.subject, wanted, how, hear)


def _trained(evidence: Evidence, names: tuple[str, ...], trying: Trying) -> tuple[Evidence, bool]:
    """The evidence with what was trained, and whether an interrupt ended it."""
    from ...claims.trials import Plan, train_arms

    in_range(trying.epochs, "--epochs", 1, 10_000)
    in_range(trying.seeds, "--seeds", 1, 1_000)
    in_range(trying.threads, "--threads", 1, MOST)
    plan = Plan(arms(names), trying.seeds, trying.epochs, trying.threads)
    path = None if trying.no_cache else _kept_at(plan)
    known = evidence.trials or (_kept(path) if path else ())

    def store(trials: tuple[Trial, ...]) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, msgspec.json.encode(trials))

    with progress() as hear:
        found = train_arms(plan, known, hear, store)
    return replace(evidence, trials=found.trials), found.interrupted


def _kept_at(plan: "Plan") -> Path:
    """Where the trainings of so many epochs are kept; other versions train anew."""
    import hashlib
    from importlib.metadata import version

    from ...bench.cache import TRIALS
    from ...bench.cache_folder import usable_folder
    from ...claims.trials import FORM, network

    facts = [FORM, network(), plan.epochs, plan.limit_s, version("torch"), version("mnv3prof")]
    digest = hashlib.blake2b(msgspec.json.encode(facts), digest_size=8).hexdigest()
    return usable_folder(say) / f"{TRIALS}{digest}.json"


def _kept(path: Path) -> tuple[Trial, ...]:
    """The trainings that are kept; none where the file is absent or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Trial, ...])
    except (OSError, msgspec.DecodeError):
        return ()
