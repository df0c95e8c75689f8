"""Options of the memory plan, and the changes that make a network fit."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

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

_STEPS = 100
"""Widths that are tried are hundredths."""


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

    def parsed(self) -> tuple[int | None, int | None]:
        """Return --fit and --flash in bytes. Raises InputError."""
        given = ((self.fit, "--fit"), (self.flash, "--flash"))
        fit, flash = (None if text is None else parse_bytes(text, option) for text, option in given)
        return fit, flash


def remedies(known: Subject, settings: Settings, planning: Planning, budget: int) -> Iterator[Remedy]:
    """Yield the changes of one option that may make a network fit: the largest input and width that do, a
    narrower dtype, and in-place depthwise convolutions.

    known: the network without `settings`.
    """
    now = settings.variant(known)
    height, width = now.input
    inputs = [(side, max(1, round(side * width / height))) for side in range(1, height)]
    input_ = largest(
        inputs,
        lambda size: planning.arena(_at(now, size)).lower_bound,
        lambda size: planning.arena(_at(now, size)).bytes,
        budget,
    )
    if input_ is not None:
        smaller = Subject(now.table, input_)
        yield _remedy(f"--input {'x'.join(map(str, input_))}", smaller, planning, budget)

    def at_width(hundredths: int) -> Subject:
        return replace(settings, width=hundredths / _STEPS).variant(known)

    widths = range(1, round(settings.width * _STEPS))
    narrower = largest(
        widths,
        lambda n: planning.arena(at_width(n).graph).lower_bound,
        lambda n: planning.arena(at_width(n).graph).bytes,
        budget,
    )
    if narrower is not None:
        yield _remedy(f"--width {narrower / _STEPS:g}", at_width(narrower), planning, budget)
    if planning.dtype != "int8":
        yield _remedy("--dtype int8", now, replace(planning, dtype="int8"), budget)
    if not planning.in_place_depthwise:
        yield _remedy("--in-place-depthwise", now, replace(planning, in_place_depthwise=True), budget)


def _at(subject: Subject, size: tuple[int, int]) -> Graph:
    return Subject(subject.table, size).graph


def _remedy(change: str, subject: Subject, planning: Planning, budget: int) -> Remedy:
    costs = total(count(subject.graph, planning.dtype))
    needed = planning.arena(subject.graph).bytes
    return Remedy(change, needed, needed <= budget, costs.macs, costs.weight_bytes)
