"""`mnv3prof claims`: test the claims of the article."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec.structs import replace

from ...claims.claim import ablations, judge, timing_requests
from ...graph.errors import InputError
from ...record.atomic import replace_file
from ...record.findings import Evidence, Trial, findings_document
from ...record.target import MOST
from ...record.timing import Timing
from ...show.claims import claims_sheets, findings_sheet, working_sheets
from ...show.comparison import label
from ..interrupts import stopped, what_is_saved
from ..latency_options import TimeBudgetOption, budget_of
from ..network import Settings
from ..options import (
    DEFAULT_SOURCE,
    SOURCE_HELP,
    EpochsOption,
    NoCacheOption,
    in_range,
    measuring_option,
    on_option,
    open_source,
    output_option,
    places,
    recipe_option,
)
from ..output import Output, Result, emit, output_format
from ..progress import progress
from ..runs import nothing_timed
from ..spread import spread
from ..streams import command_line, say

if TYPE_CHECKING:
    from ...claims.measure import MeasureResult
    from ...claims.trials import AblationPlan

_CLAIM = re.compile(r"[KT][0-9]{1,2}", re.IGNORECASE | re.ASCII)


class Trying(msgspec.Struct, frozen=True):
    """What to measure and train, and how."""

    measure: Annotated[
        bool, measuring_option("--measure", help="Time the claims about latency, within 3 minutes.")
    ] = False
    on: Annotated[str | None, on_option("cpu, onnxruntime, cpu-compile")] = None
    threads: Annotated[int, measuring_option("--threads", help="Number of threads per runtime.")] = 1
    time_budget: TimeBudgetOption = None
    no_cache: NoCacheOption = False
    train: Annotated[
        bool,
        recipe_option("--train", help="Train for the claims about accuracy, on digits, within 25 minutes."),
    ] = False
    epochs: EpochsOption = 40
    seeds: Annotated[int, recipe_option("--seeds", help="Seeds per configuration.")] = 3


@spread
def claims(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHAT", help=f"Claims (K1 to K11, T1 to T3) and the network. {SOURCE_HELP}"),
    ] = None,
    *,
    explain: Annotated[
        bool, output_option("--explain", help="Print how each result follows, with formulas and numbers.")
    ] = False,
    trying: Trying,
    settings: Settings,
    output: Output,
) -> None:
    """Test the claims of the article by counting, timing and training.

    The article is a practitioner's text on MobileNetV3-Large in PyTorch; K1 to K11 are its
    statements, T1 to T3 its listings taken literally. Claims that can be computed are judged at once.
    --measure times the others on the backends of --on. --train trains Small at width 0.35 on 32x32
    digits and changes one thing at a time; it uses fewer than --epochs if 25 minutes do not suffice.
    Finished trainings are cached, and the next --train resumes them. Ctrl-C prints the
    findings so far. --output FILE.json saves findings and evidence, which claims FILE.json judges again.

    Example: mnv3prof claims K3 --explain
    """
    _refuse_unused(trying)
    names, source = _named(what or [])
    evidence = _evidence(source, settings)
    unfinished, timings = False, []
    if trying.measure:
        measured = _measured(evidence, names, trying)
        timings = [timing for run in measured.runs for timing in run.timings]
        evidence = replace(evidence, runs=(*measured.runs, *evidence.runs))
        unfinished = measured.interrupted
    if trying.train and not unfinished:
        evidence, unfinished = _trained(evidence, names, trying)
    findings = judge(evidence, names)
    network = label(evidence.graph)
    sheets = working_sheets(findings) if explain else claims_sheets(findings, network, evidence.trials)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    table = findings_sheet(findings, network)
    emit(Result(sheets, table, lambda: findings_document(evidence, findings, created)), output)
    if unfinished:
        raise stopped(_what_is_saved(timings, evidence, trying, output))
    if nothing_timed(timings):
        raise typer.Exit(1)


def _refuse_unused(trying: Trying) -> None:
    """Raise InputError for options of a measurement or training that is not asked for."""
    known = Trying()
    unused = {
        "--on, --threads and --time-budget require --measure": ("on", "threads", "time_budget"),
        "--epochs and --seeds require --train": ("epochs", "seeds"),
    }
    for (problem, fields), asked in zip(unused.items(), (trying.measure, trying.train), strict=True):
        if not asked and any(getattr(trying, field) != getattr(known, field) for field in fields):
            raise InputError(f"claims: {problem}")


def _what_is_saved(timings: list[Timing], evidence: Evidence, trying: Trying, output: Output) -> str:
    """Return which timings and trainings are saved after an interrupt, and where."""
    path = output.output if output.output and output_format(output) == "json" else None
    messages = [what_is_saved(timings, path, "")] if trying.measure else []
    if trying.train:
        rest = "none is saved" if trying.no_cache else "continue with the same command"
        messages.append(f"{len(evidence.trials)} trainings are finished; {rest}")
    return "; ".join(messages)


def _named(what: list[str]) -> tuple[tuple[str, ...], str]:
    """Return the names of claims and the source. Raises InputError for several sources."""
    names = tuple(word.upper() for word in what if _CLAIM.fullmatch(word))
    others = [word for word in what if not _CLAIM.fullmatch(word)]
    if len(others) > 1:
        raise InputError(f"claims: {len(others)} networks are too many; expected one, and claims, e.g. K3")
    return names, others[0] if others else DEFAULT_SOURCE


def _evidence(source: str, settings: Settings) -> Evidence:
    """Return the evidence of saved findings, or the network of another source."""
    opened = open_source(source)
    if opened.findings is None:
        return Evidence(subject=settings.variant(opened.subject, opened.text))
    if settings != Settings():
        raise InputError(f"{source}: holds findings; options of the network cannot change them")
    return opened.findings


def _measured(evidence: Evidence, names: tuple[str, ...], trying: Trying) -> "MeasureResult":
    from ...bench.obstacles import require_one
    from ...claims.measure import PLACES, MeasureOptions, targets
    from ...claims.measure import measure as measure_requests
    from ...workers.cache_folder import usable_folder

    in_range(trying.threads, "--threads", 1, MOST)
    budget = budget_of(trying.time_budget)
    named = PLACES if trying.on is None else places(trying.on)
    folder = None if trying.no_cache else usable_folder(say)
    options = MeasureOptions(named, trying.threads, budget, folder, command_line())
    wanted = timing_requests(evidence.subject, names)
    if wanted and not targets(wanted, options):
        raise InputError(f"--on: {', '.join(named)} cannot time these claims; expected e.g. cpu")
    require_one(targets(wanted, options), "--on")
    with progress() as on_progress:
        return measure_requests(evidence.subject, wanted, options, on_progress)


def _trained(evidence: Evidence, names: tuple[str, ...], trying: Trying) -> tuple[Evidence, bool]:
    """Return the evidence with the trainings, and whether training was interrupted."""
    from ...claims.trials import AblationPlan, train_ablations

    in_range(trying.epochs, "--epochs", 1, 10_000)
    in_range(trying.seeds, "--seeds", 1, 1_000)
    in_range(trying.threads, "--threads", 1, MOST)
    plan = AblationPlan(ablations(names), trying.seeds, trying.epochs, trying.threads)
    path = None if trying.no_cache else _trials_path(plan)
    known = evidence.trials or (_saved_trials(path) if path else ())

    def store(trials: tuple[Trial, ...]) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, msgspec.json.encode(trials))

    with progress() as on_progress:
        trained = train_ablations(plan, known, on_progress, store)
    return replace(evidence, trials=trained.trials), trained.interrupted


def _trials_path(plan: "AblationPlan") -> Path:
    """Return the file of the trainings of this many epochs and these versions."""
    import hashlib
    from importlib.metadata import version

    from ...claims.trials import FORM, trained_table
    from ...workers.cache import TRIALS
    from ...workers.cache_folder import usable_folder

    key = [FORM, trained_table(), plan.epochs, plan.limit_s, version("torch"), version("mnv3prof")]
    digest = hashlib.blake2b(msgspec.json.encode(key), digest_size=8).hexdigest()
    return usable_folder(say) / f"{TRIALS}{digest}.json"


def _saved_trials(path: Path) -> tuple[Trial, ...]:
    """Return the saved trainings, none if the file is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Trial, ...])
    except (OSError, msgspec.DecodeError):
        return ()
