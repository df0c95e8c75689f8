"""The counters of the field, run for real: one file a tool.

A file names its PACKAGE and its FIGURES (the columns of mnv3prof.cost.conventions.COUNTERS that it
fills), and has read(model, image): the integers the tool prints, one for each figure.
"""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Final

import torch
from torch import nn

from ...graph.errors import InputError
from ...graph.graph import Graph
from ...registry import stems
from ..conventions import COUNTERS, Reading
from ..counts import count, total
from ..memory import peaks

_PATCHED: Final = (torch, torch.nn.functional, torch.Tensor)


def readings(
    make: Callable[[], nn.Module], graph: Graph, starting: Callable[[str], None] = lambda _: None
) -> tuple[Reading, ...]:
    """What each counter prints for the network of `graph`, in COUNTERS' order. make: a fresh module of it.

    A tool that is absent or crashes is a reading with a reason. `starting` hears of each package
    before it runs. Raises InputError where the network does not fit into memory.
    """
    _require_memory(graph)
    found: list[Reading] = []
    for tool in _tools():
        starting(tool.PACKAGE)
        found += _run(tool, make, graph)
    return tuple(found)


def _tools() -> list[ModuleType]:
    modules = [import_module(f".{name}", __name__) for name in stems(__file__)]
    order = list(COUNTERS)
    return sorted(modules, key=lambda tool: order.index(tool.FIGURES[0]))


def _run(tool: ModuleType, make: Callable[[], nn.Module], graph: Graph) -> list[Reading]:
    try:
        installed = version(tool.PACKAGE)
    except PackageNotFoundError:
        reason = f"{tool.PACKAGE} is not installed: pip install 'mnv3prof[counters]'"
        return [Reading(figure, None, "absent", reason) for figure in tool.FIGURES]
    try:
        with _quiet(), _unpatched(), torch.random.fork_rng(devices=[]), torch.no_grad():
            printed = tool.read(make().eval(), torch.zeros(1, *graph.inputs[0].shape))
    except Exception as error:  # whatever a tool does wrong is a row
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
    """Put back what ptflops and calflops patch in torch and leave patched when they crash."""
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
    """Keep a tool from importing torchvision: it has no part in the network, and where it does not
    fit the installed torch its import fails with more than an ImportError.
    """
    if "torchvision" in sys.modules:
        yield
        return
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torchvision"]


def _require_memory(graph: Graph) -> None:
    activations = peaks(graph).eager
    need = 4 * total(count(graph)).params + (activations.bytes if activations else 0)
    there = _physical_memory()
    if there is not None and need > there:
        raise InputError(
            f"--cross-check: running {graph.name} at {graph.size} takes "
            f"{need / 2**30:,.1f} GiB and this machine has {there / 2**30:,.1f} GiB; allowed is what fits"
        )


def _physical_memory() -> int | None:
    """Bytes; None where the operating system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
