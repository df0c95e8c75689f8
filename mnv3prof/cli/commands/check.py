"""`mnv3prof check`: a network against its budgets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import typer

from ...budgets.document import gate_document
from ...budgets.figures import Found
from ...budgets.judge import Judgement, judge
from ...budgets.limits import Budget, budgets_from
from ...graph.errors import InputError, shown
from ...mobilenetv3.files import MAX_TABLE_BYTES, parse_toml
from ...record.whole import read_file
from ...show.annotations import to_annotations
from ...show.gate import gate_sheets, verdicts_data
from ...show.junit import to_junit
from ...source import open_source
from ..network import Settings
from ..options import DEFAULT_SOURCE, SourceArgument
from ..output import (
    FORMAT_HELP,
    SUFFIXES,
    Format,
    Output,
    OutputOption,
    Result,
    chosen_format,
    emit,
    emit_text,
)
from ..spread import spread

_SECTION: Final = "[tool.mnv3prof.budgets]"


class Verdicts(msgspec.Struct, frozen=True):
    """The options of `Output`, with the formats that CI systems read."""

    format: Annotated[
        Literal["table", "json", "csv", "md", "junit", "github"] | None,
        typer.Option("--format", help=FORMAT_HELP),
    ] = None
    output: OutputOption = None

    def __post_init__(self) -> None:
        """Raise InputError before anything is computed."""
        self.form  # noqa: B018

    @property
    def form(self) -> str:
        """The format asked for, or that the file's suffix means."""
        return chosen_format(self.format, self.output, {**SUFFIXES, ".xml": "junit"}, "table")


@spread
def check(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", metavar="NAME=LIMIT", help="A budget, instead of a file's; may come again."),
    ] = None,
    budgets: Annotated[
        Path | None, typer.Option("--budgets", help="TOML that holds the budgets; else pyproject.toml.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="The source that limits such as +5% are relative to."),
    ] = None,
    settings: Settings,
    verdicts: Verdicts,
) -> None:
    """Hold a run or table against its budgets, and exit with 1 if one of level error is exceeded.

    Budgets stand in [tool.mnv3prof.budgets] of the nearest pyproject.toml upwards, or in --budgets
    FILE: macs = "220M", arena = "4MiB", latency.litert = "8ms", latency.onnxruntime = "+5%", or
    { limit = "8ms", level = "warn", dtype = "int8" }. What was not measured is an error; a time's
    relative budget is exceeded only if the 95 % interval of the change is above it, and above +5 %.

    Example: mnv3prof check small --budget macs=60M --budget arena=2MiB
    """
    wanted, where = _budgets(budget, budgets)
    if baseline is None:
        _refuse_relative(wanted)
        (found,), old = settings.found(open_source(source)), None
    else:
        old, found = settings.found(open_source(baseline), open_source(source))
    judged = judge(wanted, found, old)
    _emit(found, old, judged, where, verdicts)
    if any(each.breach == "error" for each in judged):
        raise typer.Exit(1)


def _emit(
    found: Found, old: Found | None, judged: Sequence[Judgement], where: Path | None, verdicts: Verdicts
) -> None:
    form, path = verdicts.form, verdicts.output
    if form == "junit":
        emit_text(to_junit(found, judged), path)
    elif form == "github":
        emit_text(to_annotations(found, judged, _from_here(where)), path)
    else:
        sheets, data = gate_sheets(found, judged), verdicts_data(judged)
        emit(
            Result(sheets, data, lambda: gate_document(found, old, judged)),
            Output(cast("Format", form), path),
        )


def _from_here(path: Path | None) -> str:
    """The file as an annotation names it: from the folder in which CI runs."""
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
    """The budgets, and the file that holds them."""
    from ...bench.backends import name_of

    if given and file is not None:
        raise InputError("--budget and --budgets cannot be combined; expected one of them")
    if given:
        return budgets_from(_pairs(given), "--budget", name_of), None
    path = _nearest() if file is None else file
    return budgets_from(_section(path, _document(path)), str(path), name_of), path


def _pairs(given: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, limit = text.partition("=")
        if not equals:
            raise InputError(f"--budget: {shown(text)} is not allowed; allowed is NAME=LIMIT, as macs=220M")
        found.setdefault(name.strip(), []).append(limit)
    return found


def _nearest() -> Path:
    """The pyproject.toml with budgets, in this folder or the nearest above."""
    here = _here()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file() and _has_section(_document(path)):
            return path
    raise InputError(
        f"no pyproject.toml here or above has {_SECTION}; allowed are also --budgets and --budget"
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
    """The budgets in a document: its section, or all of a file that has no [tool]."""
    if not _has_section(document):
        if "tool" in document:
            raise InputError(f"{path}: has no {_SECTION}; allowed is that section, or a file of budgets only")
        return document
    budgets = document["tool"]["mnv3prof"]["budgets"]
    if not isinstance(budgets, dict):
        raise InputError(f"{path}: {_SECTION} is {shown(budgets)}; allowed is a table of budgets")
    return budgets
