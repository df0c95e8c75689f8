"""Depthwise convolutions that write over their input."""

from collections.abc import Iterator

from ...analysis.view import View
from ...cost.memory import arena
from ...render.sheet import format_value
from ..advice import Advice
from ..command import command
from ..saved import exactly


def advise(view: View) -> Iterator[Advice]:
    """Advise to plan them in place where that makes an int8 arena smaller."""
    if view.dtype != "int8":
        return
    own, other = (
        arena(view.graph, view.dtype, view.batch, in_place_depthwise=in_place).bytes
        for in_place in (False, True)
    )
    if own > other:
        sizes = [format_value(size, "bytes") for size in (other, own)]
        share = (own - other) / own
        yield Advice(
            "Run depthwise convolutions in place on a microcontroller",
            exactly(share, "the arena"),
            share,
            f"{sizes[0]} instead of {sizes[1]} ({view.dtype}, batch {view.batch}), planned as MCUNet does.",
            command(view, "memory", "--in-place-depthwise", "--dtype", view.dtype),
        )
