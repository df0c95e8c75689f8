"""`mnv3prof check`: check a run or table against budgets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import typer

from ...budgets.diff import diff
from ...budgets.document import gate_document
from ...budgets.figures import Side
from ...budgets.judge import Judgment, judge
from ...budgets.limits import Budget, budgets_from
from ...graph.errors import InputError, quote
from ...mobilenetv3.files import MAX_TABLE_BYTES, parse_toml
from ...record.atomic import read_file
from ...show.annotations import to_annotations
from ...show.comment import check_comment
from ...show.gate import gate_sheets, verdicts_data
from ...show.junit import to_junit
from ...show.load import busy_sheets
from ..given_budgets import BudgetOption, given_budgets
from ..network import Settings
from ..options import (
    DEFAULT_SOURCE,
    OptionalBatchOption,
    OptionalDtypeOption,
    SourceArgument,
    batch_in_range,
    budget_option,
    open_source,
)
from ..output import (
    SUFFIXES,
    Format,
    Output,
    Result,
    chosen_format,
    emit,
    emit_text,
    file_option,
    format_option,
)
from ..progress import step
from ..spread import spread

_SECTION: Final = "[tool.mnv3prof.budgets]"


class VerdictOptions(msgspec.Struct, frozen=True):
    """The options of `Output`, with two more formats for CI systems."""

    format: Annotated[
        Literal["table", "json", "csv", "md", "junit", "github"] | None,
        format_option("from the suffix of FILE, else table"),
    ] = None
    output: Annotated[Path | None, file_option("standard output")] = None

    def __post_init__(self) -> None:
        """Check the suffix before anything is computed."""
        self.output_format  # noqa: B018

    @property
    def output_format(self) -> str:
        """--format, or the format of the file's suffix."""
        return chosen_format(self.format, self.output, {**SUFFIXES, ".xml": "junit"}, "table")


@spread
def check(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    budget: BudgetOption = None,
    budgets: Annotated[
        Path | None,
        budget_option(
            "--budgets",
            metavar="FILE",
            help="TOML file with budgets, without --budget.",
            show_default="the nearest pyproject.toml that has some",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        budget_option(
            "--baseline", metavar="SOURCE", help="Source that relative limits, e.g. +5%, refer to."
        ),
    ] = None,
    dtype: OptionalDtypeOption = None,
    batch: OptionalBatchOption = None,
    settings: Settings,
    verdict_options: VerdictOptions,
) -> None:
    """Check a run or table against budgets; exit 1 if an error-level budget is not met.

    Budgets are defined in [tool.mnv3prof.budgets] of the nearest pyproject.toml, in this folder or
    above, or in --budgets FILE. Examples: macs = "220M", arena = "4MiB", latency.litert = "8ms",
    latency.onnxruntime = "+5%", or { limit = "8ms", level = "warn", dtype = "int8" }. A list holds
    several limits.

    Names: macs, flops, params, weights, read, written, arena, peak.eager, peak.unfused, peak.fused, and
    latency.BACKEND for a call of the whole network. A part follows its metric: macs.head,
    params.classifier, latency.onnxruntime.12; quoted in TOML: "macs.head" = "3M". A limit with a sign is
    relative to --baseline. Without a dtype, a limit holds for every dtype and batch of the run. A budget
    that was not measured is an error. One is unclear, and not met, if its latency is above the limit on a
    busy machine, or if only a lower bound of its value is known. A relative latency limit is exceeded if the
    whole 95 % interval of the change is above it; limits below +5 % are treated as +5 %.

    --format md is for a comment on a pull request: at most 25 lines, and the rest folded.

    Example: mnv3prof check small --budget macs=60M --budget arena=2MiB
    """
    wanted, where = _budgets(budget, budgets)
    batch_in_range(batch)
    if baseline is None:
        _refuse_relative(wanted)
        (new,), old = settings.resolve(open_source(source, settings.input), dtype=dtype, batch=batch), None
    else:
        known = open_source(baseline, settings.input), open_source(source, settings.input)
        old, new = settings.resolve(*known, dtype=dtype, batch=batch)
    with step("checking the budgets"):
        judged = judge(wanted, new, old)
    _emit(new, old, judged, where, verdict_options)
    if any(each.breach == "error" for each in judged):
        raise typer.Exit(1)


def _emit(
    new: Side,
    old: Side | None,
    judged: Sequence[Judgment],
    where: Path | None,
    verdict_options: VerdictOptions,
) -> None:
    chosen, path = verdict_options.output_format, verdict_options.output
    if chosen == "junit":
        emit_text(to_junit(new, judged), path)
    elif chosen == "github":
        emit_text(to_annotations(new, judged, _from_here(where)), path)
    else:
        busy = (
            *busy_sheets(new.run, with_times=False),
            *busy_sheets(old.run if old else None, "baseline", with_times=False),
        )
        if chosen == "md":
            sheets = check_comment(new, judged, diff(old, new) if old else None, busy)
        else:
            sheets = (*busy, *gate_sheets(new, judged))
        emit(
            Result(sheets, verdicts_data(judged), lambda: gate_document(new, old, judged)),
            Output(cast("Format", chosen), path),
        )


def _from_here(path: Path | None) -> str:
    """Return the path relative to the current folder, for annotations, or ""."""
    if path is None or not path.resolve().is_relative_to(here := _here()):
        return ""
    return path.resolve().relative_to(here).as_posix()


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise InputError(f"the current folder: cannot be read ({error.strerror})") from None


def _refuse_relative(budgets: Sequence[Budget]) -> None:
    for each in budgets:
        if each.change is not None:
            raise InputError(
                f"budget {each.name}: {each.written} is relative to a baseline; --baseline SOURCE is required"
            )


def _budgets(given: Sequence[str] | None, file: Path | None) -> tuple[tuple[Budget, ...], Path | None]:
    """Return the budgets, and the file that holds them."""
    from ...workers.backends import place_of

    if given and file is not None:
        raise InputError("--budget and --budgets cannot be combined; expected one of them")
    if given:
        return given_budgets(given), None
    path = _nearest() if file is None else file
    return budgets_from(_section(path, _document(path)), str(path), place_of), path


def _nearest() -> Path:
    """Return the nearest pyproject.toml with budgets, in this folder or above."""
    here = _here()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file() and _has_section(_document(path)):
            return path
    raise InputError(
        f"no pyproject.toml in this folder or above has {_SECTION}; expected one, or --budgets, or --budget"
    )


def _document(path: Path) -> dict[str, Any]:
    data = read_file(path, MAX_TABLE_BYTES, "expected budgets in TOML")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    return parse_toml(text, str(path))


def _has_section(document: Mapping[str, Any]) -> bool:
    tool = document.get("tool")
    ours = tool.get("mnv3prof") if isinstance(tool, dict) else None
    return isinstance(ours, dict) and "budgets" in ours


def _section(path: Path, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the budgets of a document: its section, or all of a file without [tool]."""
    if not _has_section(document):
        if "tool" in document:
            raise InputError(f"{path}: has no {_SECTION}; expected that section, or a file of budgets only")
        return document
    budgets = document["tool"]["mnv3prof"]["budgets"]
    if not isinstance(budgets, dict):
        raise InputError(f"{path}: {_SECTION} is {quote(budgets)}; expected a table of budgets")
    return budgets
