"""Options that several commands share, and the sections of a command's help."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer

from .. import workers
from ..cost.counts import Dtype
from ..device import runtimes
from ..graph.errors import InputError, about, any_of, printable, quote
from ..graph.graph import Graph
from ..graph.parts import selected_parts
from ..mobilenetv3.files import PRESETS
from ..record.target import Target
from ..registry import file_names
from ..source import Source
from ..source import open_source as read_source
from .progress import step

_Value = TypeVar("_Value")

SECTIONS: Final = ("Network", "Recipe", "Measuring", "Budgets", "Output")
"""Sections of options in a command's help, in this order."""
network_option, recipe_option, measuring_option, budget_option, output_option = (
    partial(typer.Option, rich_help_panel=section) for section in SECTIONS
)

DEFAULT_SOURCE = "large"
MOST_IMAGES: Final = 1_000_000
SOURCE_HELP = (
    f"A preset ({', '.join(PRESETS)}), a layer table (.toml, .csv, .json, or - for standard input), a saved "
    "run or findings (.json), a report (.html), another network (.onnx, .tflite, .pt2), or a PyTorch module: "
    "torchvision:NAME, timm:NAME, package.module:function(width=0.5), with :part. Its code is run."
)
# By file name: importing workers.backends would delay every help text by 20 ms.
_BACKENDS: Final = sorted(
    name
    for init in (runtimes.__file__, f"{Path(workers.__file__).parent}/backends/__init__.py")
    for name in file_names(init)
)


def presets(typed: str) -> list[str]:
    """Return the presets that begin with `typed`, for the shell's completion."""
    return [name for name in PRESETS if name.startswith(typed)]


def open_source(text: str, shapes: str | None = None) -> Source:
    """Read a source, and show that if it takes long. shapes: the value of --input. Raises InputError."""
    if text == "-" or text in PRESETS:  # a bar would disturb who types; a preset is there at once
        return read_source(text)
    with step(f"reading {printable(text)}"):
        return read_source(text, shapes)


def opened(text: str | None, shapes: str | None = None) -> Source | None:
    """Open the source that `text` names, or return None without one."""
    return None if text is None else open_source(text, shapes)


def on_option(default: str | bool) -> Any:
    """Return the option --on. default: what the help shows as its default, False for nothing."""
    return measuring_option(
        "--on",
        metavar="NAMES",
        help=f"Comma-separated backends ({', '.join(_BACKENDS)}), or all for every one that works here.",
        show_default=default,
    )


def data_option(section: Callable[..., Any], purpose: str, default: str) -> Any:
    """Return the option --data. section: makes the option. purpose: the help's end, or ""."""
    text = f"Folder that holds one folder of images per class{purpose}."
    return section("--data", metavar="DIR", help=text, show_default=default)


def expected_file_option(section: Callable[..., Any]) -> Any:
    """Return the option --expected-file. section: makes the option."""
    text = "PyTorch's output as raw fp32."
    return section("--expected-file", metavar="FILE", help=text, show_default=False)


SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP, autocompletion=presets)]
TrainedSourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help=SOURCE_HELP,
        autocompletion=presets,
        show_default=f"{DEFAULT_SOURCE}, or the network of --weights",
    ),
]
SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="SOURCE", help=SOURCE_HELP, autocompletion=presets, show_default=DEFAULT_SOURCE),
]
DtypeOption = Annotated[Dtype, network_option("--dtype", help="Dtype of weights and activations.")]
BatchOption = Annotated[int, network_option("--batch", help="Number of images.")]
OptionalDtypeOption = Annotated[
    Dtype | None,
    network_option(
        "--dtype", help="Dtype that bytes and times are for.", show_default="fp32, or all those of a run"
    ),
]
OptionalBatchOption = Annotated[
    int | None,
    network_option(
        "--batch",
        help="Number of images that bytes and times are for.",
        show_default="1, or all those of a run",
    ),
]
EpochsOption = Annotated[int, recipe_option("--epochs", help="Number of training epochs.")]
ResumeOption = Annotated[
    bool, output_option("--resume", help="Resume the run or training that is saved in --output.")
]
CrossCheckOption = Annotated[
    bool, measuring_option("--cross-check", help="Run other FLOP counters and reconcile their results.")
]
PartsOption = Annotated[
    str | None,
    network_option(
        "--parts",
        metavar="LIST",
        help="Parts: net, blocks, backbone, all, a block, blocks such as 3-7, or a module's path; "
        "self.net is a module called net.",
        show_default=False,
    ),
]
NoCacheOption = Annotated[
    bool, measuring_option("--no-cache", help="Do not read or write the cache of converted parts.")
]


def places(on: str, timeout_s: float = inf) -> tuple[str, ...]:
    """Return the places that the value of --on names: "ncnn", "ncnn@pi". Raises InputError.

    timeout_s: of a device that is asked for its runtimes.
    """
    from ..bench.profile import places_named

    with about("--on"):
        groups = [places_named(name, timeout_s) for name in listed(on, "--on", lambda name, _: name)]
    return tuple(dict.fromkeys(name for group in groups for name in group))


def saved_places(on: str, known: Iterable[Target]) -> tuple[str, ...]:
    """Return the places that the value of --on names in a saved run: "all@pi" are those of pi that it has.

    Raises InputError.
    """
    from ..bench.profile import require_no_device
    from ..workers.backends import place_of

    known = list(known)
    names: dict[str, None] = {}
    saved = dict.fromkeys(target.place for target in known)
    for name in listed(on, "--on", lambda name, _: name):
        backend, _, device = name.partition("@")
        with about("--on"):
            if backend not in _BACKENDS:
                require_no_device(name, {target.device for target in known})
            found = (
                [each for each in saved if each.partition("@")[2] == device]
                if backend == "all"
                else [place_of(name)]
            )
        if not found:
            raise InputError(
                f"--on: {quote(name)} has no rows; expected {any_of(saved) if saved else 'no --on'}"
            )
        names |= dict.fromkeys(found)
    return tuple(names)


def backend_names(on: str) -> tuple[str, ...]:
    """Return the backends of this machine that the value of --on names. Raises InputError for another one."""
    names = places(on)
    if other := next((name for name in names if "@" in name), None):
        raise InputError(f"--on: {other} is on another device; expected backends of this machine")
    return names


def parts_named(text: str, graph: Graph) -> tuple[str, ...]:
    """Return the parts that the value of --parts names. Raises InputError."""
    return selected_parts(graph, [item.strip() for item in text.split(",")], "--parts")


def listed(text: str, option: str, parse: Callable[[str, str], _Value]) -> tuple[_Value, ...]:
    """Return the distinct values of a comma-separated list.

    parse: makes a value of an item and the option's name.
    """
    return tuple(dict.fromkeys(parse(item.strip(), option) for item in text.split(",")))


def first_given(*groups: msgspec.Struct, ignoring: Collection[str] = ()) -> str:
    """Return the first option that is not its default, "" if all are.

    groups: structs of options. ignoring: names of fields.
    """
    given = (
        name
        for group in groups
        for name in group.__struct_fields__
        if name not in ignoring and getattr(group, name) != getattr(type(group)(), name)
    )
    return next((f"--{name.replace('_', '-')}" for name in given), "")


def batch_in_range(batch: int | None) -> None:
    """Raise InputError unless --batch is a possible number of images."""
    if batch is not None:
        in_range(batch, "--batch", 1, MOST_IMAGES)


def in_range(value: int, option: str, low: int, high: int) -> None:
    """Raise InputError unless `low` ≤ `value` ≤ `high`."""
    if not low <= value <= high:
        raise InputError(
            f"{option}: {quote(value)} is not allowed; expected an integer from {low:,} to {high:,}"
        )
