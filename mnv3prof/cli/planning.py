"""Options of the memory plan, and the changes that make a network fit."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from ..budgets.units import parse_bytes
from ..cost.counts import count, total
from ..cost.fitting import Remedy, largest
from ..cost.memory import Arena, Peaks, arena, peaks
from ..graph.graph import Graph
from ..record.run import Subject
from .network import Settings
from .options import BatchOption, DtypeOption, batch_in_range, in_range, measuring_option

_STEPS: Final = 100
"""Widths that are tried are hundredths."""

_Size = TypeVar("_Size")


class Planned(NamedTuple):
    """The memory of a network: activations, and deployed weights in bytes."""

    peaks: Peaks
    arena: Arena
    weight_bytes: int


class Planning(msgspec.Struct, frozen=True):
    """How activations are planned."""

    dtype: DtypeOption = "fp32"
    batch: BatchOption = 1
    image: Annotated[
        bool, measuring_option("--image/--no-image", help="Place the input image in the arena.")
    ] = True
    alignment: Annotated[
        int, measuring_option("--alignment", help="Alignment of each tensor in the arena, in bytes.")
    ] = 1
    in_place_depthwise: Annotated[
        bool,
        measuring_option(
            "--in-place-depthwise", help="Let each depthwise convolution write its output over its input."
        ),
    ] = False

    def check(self) -> None:
        """Raise InputError for values that are out of range."""
        batch_in_range(self.batch)
        in_range(self.alignment, "--alignment", 1, 65_536)

    def plan(self, graph: Graph) -> Planned:
        """Return the memory of a network."""
        weights = total(count(graph, self.dtype)).weight_bytes
        return Planned(self.peaks(graph), self.arena(graph), weights)

    def peaks(self, graph: Graph) -> Peaks:
        """Return the peaks of a network."""
        in_place = self.in_place_depthwise
        return peaks(graph, self.dtype, self.batch, image=self.image, in_place_depthwise=in_place)

    def arena(self, graph: Graph) -> Arena:
        """Return the arena of a network."""
        return arena(
            graph,
            self.dtype,
            self.batch,
            image=self.image,
            alignment=self.alignment,
            in_place_depthwise=self.in_place_depthwise,
        )


class Limits(msgspec.Struct, frozen=True):
    """Sizes of memories."""

    fit: Annotated[
        str | None,
        measuring_option(
            "--fit",
            metavar="SIZE",
            help="Exit with 1 if the arena, or with --on a runtime's plan, exceeds SIZE, e.g. 320KiB.",
        ),
    ] = None
    flash: Annotated[
        str | None,
        measuring_option(
            "--flash", metavar="SIZE", help="Exit with 1 if the weights exceed SIZE, e.g. 1MiB."
        ),
    ] = None

    def parsed(self) -> "Budgets":
        """Return --fit and --flash in bytes. Raises InputError."""
        given = ((self.fit, "--fit"), (self.flash, "--flash"))
        return Budgets(*(None if text is None else parse_bytes(text, option) for text, option in given))


class Budgets(NamedTuple):
    """Bytes for activations and for weights; None without a limit."""

    arena: int | None
    flash: int | None

    def hold(self, arena_bytes: int, weight_bytes: int) -> bool:
        """Return True if both are within their limits."""
        needs = ((arena_bytes, self.arena), (weight_bytes, self.flash))
        return all(limit is None or need <= limit for need, limit in needs)


def remedies(known: Subject, settings: Settings, planning: Planning, budgets: Budgets) -> Iterator[Remedy]:
    """Yield the changes of one option that may make a network fit: the largest input and width that do, if it
    is a layer table, a narrower dtype, and in-place depthwise convolutions.

    known: the network without `settings`.
    """
    now = settings.variant(known)

    def at_input(size: tuple[int, int]) -> Subject:
        return Subject(now.table, size)

    def at_width(hundredths: int) -> Subject:
        return replace(settings, width=hundredths / _STEPS).variant(known)

    height, width = now.input
    sizes = [(side, max(1, round(side * width / height))) for side in range(1, height) if now.listed]
    if (size := _largest(sizes, at_input, planning, budgets)) is not None:
        yield _remedy(f"--input {'x'.join(map(str, size))}", at_input(size), planning, budgets)
    widths = range(1, round(settings.width * _STEPS)) if now.listed else range(0)
    if (narrower := _largest(widths, at_width, planning, budgets)) is not None:
        yield _remedy(f"--width {narrower / _STEPS:g}", at_width(narrower), planning, budgets)
    if planning.dtype != "int8":
        yield _remedy("--dtype int8", now, replace(planning, dtype="int8"), budgets)
    if not planning.in_place_depthwise and budgets.arena is not None:
        yield _remedy("--in-place-depthwise", now, replace(planning, in_place_depthwise=True), budgets)


def _largest(
    sizes: Sequence[_Size], network: Callable[[_Size], Subject], planning: Planning, budgets: Budgets
) -> _Size | None:
    def needs(size: _Size) -> tuple[Arena, int]:
        graph = network(size).graph
        return planning.arena(graph), total(count(graph, planning.dtype)).weight_bytes

    def may_fit(size: _Size) -> bool:
        arena, weights = needs(size)
        return budgets.hold(arena.lower_bound, weights)

    def fits(size: _Size) -> bool:
        arena, weights = needs(size)
        return budgets.hold(arena.bytes, weights)

    return largest(sizes, may_fit, fits)


def _remedy(change: str, subject: Subject, planning: Planning, budgets: Budgets) -> Remedy:
    costs = total(count(subject.graph, planning.dtype))
    needed = planning.arena(subject.graph).bytes
    fits = budgets.hold(needed, costs.weight_bytes)
    return Remedy(change, needed, fits, costs.macs, costs.weight_bytes)
