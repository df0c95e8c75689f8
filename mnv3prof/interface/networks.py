"""Networks and runs from whatever names or holds them, and saved runs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from ..graph.errors import InputError, as_number, quote, require
from ..mobilenetv3.expand import DEFAULT_SIZE, image_size
from ..mobilenetv3.table import Table
from ..record.atomic import replace_file
from ..record.document import encoded
from ..record.run import Run, Subject
from ..source import Source, open_source


class Built(Protocol):
    """A module that mnv3prof.build returned."""

    table: Table


class Module(Protocol):
    """A PyTorch module."""

    def forward(self, *inputs: Any) -> Any:
        """Compute its outputs."""


Loadable: TypeAlias = str | Path | Table | Subject | Run | Built | Module
"""What names or holds a network."""

Size: TypeAlias = int | str | tuple[int, ...]
"""Side of an image, (height, width), a shape without the batch, or text such as "192x256"."""

_EXPECTED: Final = "a preset, a file, an nn.Module or what names one, a Table, a Subject, or a Run"
_SAVED: Final = "expected a saved run (.json) or a report (.html)"


def load(
    source: Loadable,
    input: Size | Any | None = None,  # noqa: A002
) -> Subject:
    """Return a network at an input size.

    source: a preset ("large", "mobilenetv2", ...), a file (layer table, saved run, report page, .onnx,
        .tflite, .pt2), a name of a PyTorch module ("torchvision:resnet50", "package.module:function()"),
        an nn.Module, a Table, a Subject, or a Run (its main network). Weights are not taken.
    input: side or (height, width) of the image in pixels, or text such as "192x256"; for a network that is
        no layer table also its shape without the batch, e.g. (3, 224, 224), and for an nn.Module example
        inputs: a tensor, or a tuple of them, of batch 1. By default that of a Subject or a saved run, else
        224 or the size of the release.

    The result has the input size, and the graph with all layers and shapes. Raises InputError.

    >>> mnv3prof.load("small", 192)
    Subject('MobileNetV3-Small', 192×192)
    >>> len(mnv3prof.load("large").graph.layers)
    187
    >>> import torch
    >>> conv = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    >>> mnv3prof.total(mnv3prof.count(mnv3prof.load(conv, 32).graph)).macs  # 30 * 30 * 8 * 27
    194400
    """
    if (module := _module(source)) is not None:
        return _from_module(module, input)
    shapes = None if input is None else _as_text(input)
    if isinstance(source, (str, Path)):
        subject = open_source(str(source), shapes).subject
    else:
        (found,) = sources_of([source], "load")
        subject = found.subject
    if input is None:
        return subject
    if subject.captured is None:
        return Subject(subject.table, image_size(input, "input"), subject.weights)
    if isinstance(source, (str, Path)) and subject.captured.text == str(source):
        return subject
    subject.captured.require_named()
    return open_source(subject.captured.text, shapes).subject


def _module(source: object) -> Any:
    """Return an nn.Module that is not of a layer table, else None."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(source, torch.nn.Module):
        return None
    modules = sys.modules.get("mnv3prof.mobilenetv3.network")
    return None if modules and isinstance(source, modules.MobileNetV3) else source


def _from_module(module: Any, given: Any) -> Subject:
    """Capture a module for example inputs, or inputs of a size."""
    import torch

    from ..capture.reference import copy_without_data, running
    from ..capture.shapes import InputShape, parse_shapes
    from ..capture.sources import captured_module

    name = type(module).__name__
    usual = [InputShape((3, *DEFAULT_SIZE))]
    examples = given if isinstance(given, (tuple, list)) else (given,)
    if examples and all(isinstance(each, torch.Tensor) for each in examples):
        if any(not each.ndim or each.shape[0] != 1 for each in examples):
            raise InputError(
                f"load: an example input of {name} has no batch of 1; expected inputs of one image"
            )
        shapes = [
            InputShape(tuple(each.shape[1:]), str(each.dtype).removeprefix("torch.")) for each in examples
        ]
    else:
        shapes = [] if given is None else list(parse_shapes(_as_text(given), "input"))
    with running("load", f"a copy of {name}"):
        copied = copy_without_data(module)  # the given one keeps its mode and its weights
    return captured_module(copied, usual, shapes, name).of_module(module)


def _as_text(given: Any) -> str:
    """Return a size as --input has it; a tuple of other than two numbers is a whole shape."""
    given = as_number(given)
    if not isinstance(given, (str, int)) and not (
        isinstance(given, (tuple, list)) and all(isinstance(as_number(each), int) for each in given)
    ):
        kind = type(given).__name__
        raise InputError(f"input: a {kind} is not allowed; expected sizes, a tensor, or a tuple of tensors")
    if isinstance(given, (tuple, list)):
        text = "x".join(map(str, given))
        return text if len(given) in (2, 3) else f"[{text}]"
    return str(given)


def read_run(path: str | Path) -> Run:
    """Return a saved run: a JSON file, or a report page with one run ("page.html#2": its second).

    Raises InputError.

    >>> mnv3prof.read_run("run.json").targets
    (Target(device='', backend='null', dtype='fp32', batch=1, threads=1),)
    """
    require(path, (str, Path), "read_run", "the path of a saved run (.json) or of a report (.html)")
    if not Path(str(path).partition("#")[0]).is_file() and not Path(path).is_file():
        raise InputError(f"read_run: {quote(str(path))}: no such file; {_SAVED}")
    if (run := open_source(str(path)).run) is None:
        raise InputError(f"read_run: {quote(str(path))} holds no run; {_SAVED}")
    return run


def save(run: Run, path: str | Path) -> Path:
    """Write a run as JSON, for read_run() and every command, and return the path. Raises InputError.

    >>> mnv3prof.save(mnv3prof.read_run("run.json"), "copy.json").name
    'copy.json'
    """
    require(run, Run, "save", "what mnv3prof.measure returns")
    return write(encoded(run), path, (".json",), "save")


def write(text: str, path: str | Path, suffixes: Sequence[str], where: str) -> Path:
    """Write a file as a whole, and return its path. Raises InputError about `where`."""
    expected = f"a path that ends in {suffixes[0]}"
    require(path, (str, Path), where, expected)
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise InputError(f"{where}: {quote(str(path))} is not allowed; expected {expected}")
    try:
        replace_file(target, text.encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{where}: {quote(str(path))} cannot be written ({reason})") from None
    return target


def sources_of(given: Collection[object], where: str) -> list[Source]:
    """Return what was given as sources. Raises InputError about `where`.

    Those without an input size of their own get that of the first that has one.
    """
    sources = [_source(each, where) for each in given]
    sized = [isinstance(each, Subject) or s.network is None for each, s in zip(given, sources, strict=True)]
    size = next((s.subject.input for s, known in zip(sources, sized, strict=True) if known), None)
    return [s if known or size is None else s.at(size) for s, known in zip(sources, sized, strict=True)]


def _source(given: Any, where: str) -> Source:
    if isinstance(given, (str, Path)):
        return open_source(str(given))
    if (module := _module(given)) is not None:
        subject = _from_module(module, None)
        return Source(subject.name, subject)
    if isinstance(given, Run):
        return Source(given.subject.name, None, (given,))
    if isinstance(given, (Table, Subject)):
        subject = given if isinstance(given, Subject) else Subject(given, DEFAULT_SIZE)
        return Source(subject.name, subject)
    modules = sys.modules.get("mnv3prof.mobilenetv3.network")
    if modules and isinstance(given, modules.MobileNetV3):
        from ..mobilenetv3.network import is_as_built

        if not is_as_built(given):
            raise InputError(f"{where}: the module was changed; expected one as mnv3prof.build returned it")
        return Source(given.table.name, Subject(given.table, DEFAULT_SIZE))
    what = quote(given) if isinstance(given, (int, float, type(None))) else type(given).__name__
    if isinstance(given, type):
        raise InputError(
            f"{where}: {given.__name__} is a class; expected an instance, e.g. {given.__name__}()"
        )
    raise InputError(f"{where}: {what} is not a network; expected {_EXPECTED}")
