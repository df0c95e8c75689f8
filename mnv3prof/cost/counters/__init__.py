"""Other FLOP counters, one file per tool.

A file has PACKAGE (the distribution), FIGURES (its entries in mnv3prof.cost.conventions.COUNTERS) and
read(model, image), which returns the integers that the tool prints, one per entry.
"""

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Final

import psutil
import torch
from torch import nn

from ...device.streams import redirected
from ...graph.errors import InputError
from ...graph.graph import Graph
from ...registry import stems
from ..conventions import COUNTERS, Reading
from ..counts import count, total
from ..memory import peaks

_PATCHED: Final = (torch, torch.nn.functional, torch.Tensor)


def readings(
    make: Callable[[], nn.Module], graph: Graph, on_start: Callable[[str], None] = lambda _: None
) -> tuple[Reading, ...]:
    """Run the counters on the network of `graph` and return their results in the order of COUNTERS.

    make: returns a new module of the network. on_start: called with each package before it runs. A tool
    that is not available or crashes gives a result with a reason. After an interrupt, the other tools are
    results that were not run. Raises InputError if the network does not fit into memory.
    """
    _require_memory(graph)
    results: list[Reading] = []
    waiting = _tools()
    try:
        while waiting:
            on_start(waiting[0].PACKAGE)
            results += _run(waiting[0], make, graph)
            del waiting[0]
    except KeyboardInterrupt:
        rest = [figure for tool in waiting for figure in tool.FIGURES]
        results += [Reading(figure, None, "not run", "interrupted") for figure in rest]
    return tuple(results)


def _tools() -> list[ModuleType]:
    modules = [import_module(f".{name}", __name__) for name in stems(__file__)]
    order = list(COUNTERS)
    return sorted(modules, key=lambda tool: order.index(tool.FIGURES[0]))


def _run(tool: ModuleType, make: Callable[[], nn.Module], graph: Graph) -> list[Reading]:
    try:
        installed = version(tool.PACKAGE)
    except PackageNotFoundError:
        reason = f"{tool.PACKAGE} is not installed: pip install 'mnv3prof[counters]'"
        return [Reading(figure, None, "not available", reason) for figure in tool.FIGURES]
    try:
        with _quiet(), _unpatched(), torch.random.fork_rng(devices=[]), torch.no_grad():
            printed = tool.read(make().eval(), torch.zeros(1, *graph.inputs[0].shape))
    except Exception as error:  # any failure of a tool becomes a row
        first = (str(error).splitlines() or [""])[0]
        reason = f"{type(error).__name__}: {first}".rstrip(": ")[:200]
        return [Reading(figure, installed, "crashed", reason) for figure in tool.FIGURES]
    return [
        Reading(figure, installed, "ok", printed=int(value))
        for figure, value in zip(tool.FIGURES, printed, strict=True)
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            redirected((1, 2)),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _unpatched() -> Iterator[None]:
    """Restore what ptflops and calflops patch in torch, which they do not after a crash."""
    before = [dict(vars(place)) for place in _PATCHED]
    try:
        yield
    finally:
        for place, names in zip(_PATCHED, before, strict=True):
            for name, value in names.items():
                if vars(place).get(name) is not value:
                    setattr(place, name, value)


@contextlib.contextmanager
def without_torchvision() -> Iterator[None]:
    """Hide torchvision, and timm, which imports it, from a tool that would import them.

    The network does not need it. If it does not match the installed torch, its import raises other
    errors than ImportError, which the tools do not catch.
    """
    if "torchvision" in sys.modules:
        yield
        return
    hidden = [name for name in ("torchvision", "timm") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _require_memory(graph: Graph) -> None:
    activations = peaks(graph).eager
    needed = 4 * total(count(graph)).params + (activations.bytes if activations else 0)
    memory = psutil.virtual_memory().total
    if needed > memory:
        raise InputError(
            f"{graph.name} at {graph.size}: running the counters needs {needed / 2**30:,.1f} GiB; "
            f"expected at most this machine's {memory / 2**30:,.1f} GiB"
        )
