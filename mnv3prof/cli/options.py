"""The options that commands share, so that no two spell one differently."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from ..cost.counts import Dtype
from ..graph.errors import InputError, about, shown
from ..mobilenetv3.files import PRESETS
from ..source import Source, open_source

_Value = TypeVar("_Value")

SOURCE_HELP = (
    f"A preset ({', '.join(PRESETS)}), a layer table (.toml, .csv, .json, or - for standard input), a saved "
    "run or findings (.json), or a report (.html)."
)


def presets(typed: str) -> list[str]:
    """The presets that begin with `typed`, for the shell to complete; it completes files by itself."""
    return [name for name in PRESETS if name.startswith(typed)]


DEFAULT_SOURCE = "large"


def opened(text: str | None) -> Source | None:
    """What `text` names, where it is given."""
    return None if text is None else open_source(text)


SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP, autocompletion=presets)]
TrainedSourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help=SOURCE_HELP,
        autocompletion=presets,
        show_default=f"{DEFAULT_SOURCE}, or that of --weights",
    ),
]
SourcesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="SOURCE", help=SOURCE_HELP, autocompletion=presets)
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from what --output holds.")]
OnOption = Annotated[
    str | None,
    typer.Option(
        "--on", metavar="NAMES", help="Backends, separated by commas, or all: every one that can run here."
    ),
]
CrossCheckOption = Annotated[
    bool, typer.Option("--cross-check", help="Run the counters of the field and explain their figures.")
]
PlansOption = Annotated[
    bool, typer.Option("--plans", help="Ask the runtimes for their memory plans too, as memory --on does.")
]
EpochsOption = Annotated[
    int, typer.Option("--epochs", help="Times that every image is seen.", rich_help_panel="Recipe")
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Convert anew, and keep nothing.")]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="Type of weights and activations.")]


def backend_names(on: str) -> tuple[str, ...]:
    """The backends in the value of --on. Raises InputError for one that is not known."""
    from ..bench.backends import name_of
    from ..bench.profile import usable_here

    with about("--on"):
        names = [
            each
            for name in listed(on, "--on", lambda name, _: name)
            for each in (usable_here() if name == "all" else [name_of(name)])
        ]
    return tuple(dict.fromkeys(names))


def listed(text: str, option: str, one: Callable[[str, str], _Value]) -> tuple[_Value, ...]:
    """The values in a list of an option, each once. one: makes a value of a text and the option's name."""
    return tuple(dict.fromkeys(one(item.strip(), option) for item in text.split(",")))


def in_range(value: int, option: str, low: int, high: int) -> None:
    """Raises InputError unless `low` ≤ `value` ≤ `high`."""
    if not low <= value <= high:
        allowed = f"allowed is an integer from {low:,} to {high:,}"
        raise InputError(f"{option}: {shown(value)} is not allowed; {allowed}")
