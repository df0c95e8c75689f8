"""The network of a run as a command line names it."""

import shlex
from typing import Any, Final

from msgspec.structs import replace

from ..analysis.view import View
from ..graph.errors import InputError
from ..mobilenetv3.files import PRESETS, preset
from ..mobilenetv3.table import Table
from ..mobilenetv3.variants import vary
from ..record.run import Captured, Run, Subject

_PAGE: Final = "FILE.html"
"""A page contains its run, and so its network."""
_USUAL: Final = (224, 224)
_VALUED: Final = ("--input", "--width", "--width-rule", "--classes", "--activation", "--weights")
_FLAGS: Final = ("--reduced-tail", "--dilated", "--standard-conv", "--dense-depthwise", "--without-se")
"""Options that are part of the network."""
_MEASURING: Final = ("latency", "profile", "report", "compare")


def command(view: View, name: str, *options: str) -> str:
    """Return a command line on the network of a view. options: not quoted yet."""
    begin = ["mnv3prof", name, *network_words(view.run), *options]
    return shlex.join(begin)


def network_words(run: Run) -> list[str]:
    """Return the words that name the network: its source, and the options that change it."""
    return _words(run.subject) or _as_written(run.command) or [_PAGE]


def words_beside(run: Run, other: Subject) -> list[str]:
    """Return the words that name another network beside that of a run: the option that makes it of that one,
    or its source.
    """
    if run.subject.listed and other.listed:
        for option in _FLAGS:
            if _is_alike(run.subject.listed, other.listed, option):
                return [option]
    return _words(other) or [_PAGE]


def _is_alike(table: Table, other: Table, option: str) -> bool:
    """Return True if an option makes a table of another, whatever they are called."""
    try:
        flag: dict[str, Any] = {option.removeprefix("--").replace("-", "_"): True}
        changed = vary(table, **flag)
    except InputError:
        return False
    return replace(changed, name="any") == replace(other, name="any")


def _words(subject: Subject) -> list[str]:
    """Return the words that name a network by itself, [] if only the command that measured it does."""
    if subject.captured:
        return _captured_words(subject.captured)
    height, width = subject.input
    size = [] if subject.input == _USUAL else ["--input", f"{height}x{width}"]
    if subject.weights is None:
        for name in PRESETS:
            if preset(name) == subject.table:
                return [name, *size]
    return []


def _captured_words(captured: Captured) -> list[str]:
    shapes = [tensor.shape for tensor in captured.graph.inputs]
    if captured.kind != "module" or shapes == [(3, *_USUAL)]:
        return [captured.text]
    dtypes = captured.dtypes or ("float32",) * len(shapes)
    words = [_shape(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    return [captured.text, "--input", ",".join(words)]


def _shape(shape: tuple[int, ...], dtype: str) -> str:
    text = "x".join(map(str, shape))
    return (text if len(shape) > 2 else f"[{text}]") + ("" if dtype == "float32" else f":{dtype}")


def _as_written(text: str) -> list[str]:
    """Return the source and the network's options of a command that measured one network, [] if unknown."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    if words[:1] != ["mnv3prof"] or not {*words[1:2]} & {*_MEASURING}:
        return []
    source, *rest = words[2:] or [""]
    if not source or source.startswith("-"):
        return []
    found = [source]
    for n, word in enumerate(rest):
        if word in _FLAGS:
            found.append(word)
        elif word in _VALUED and n + 1 < len(rest):
            found += [word, rest[n + 1]]
    return found
