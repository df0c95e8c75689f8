"""A variant of the network that was measured beside it, and is faster."""

from collections.abc import Iterator

from ...analysis.compare import compare
from ...analysis.grid import grid_of, timings_of
from ...analysis.view import View
from ...graph.parts import NET
from ...render.numbers import milliseconds
from ..advice import Advice
from ..command import command, words_beside
from ..saved import of_latency


def advise(view: View) -> Iterator[Advice]:
    """Advise the variants that are faster than the network on its fastest target."""
    target = view.fastest()
    old = view.timing(NET, target) if target else None
    if target is None or old is None:
        return
    where = view.label_of(target)
    for name, subject in view.run.variants.items():
        new = grid_of(subject.graph, timings_of(view.run, name)).cells.get((NET, target))
        change = compare(old, new, view.run, view.run) if new else None
        if new is None or change is None or change.verdict != "faster" or change.ratio is None:
            continue
        times = [milliseconds(timing.per_image or 0.0) for timing in (new, old)]
        yield Advice(
            f"Try the network as {name}",
            of_latency(change),
            1 - change.ratio,
            f"{times[0]} on {where}, {times[1]} as it is: {change}. Its accuracy so is not known.",
            command(view, "compare", *words_beside(view.run, subject), "--latency", "--on", target.place),
        )
