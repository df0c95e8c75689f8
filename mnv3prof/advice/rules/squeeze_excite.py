"""What squeeze-excite costs."""

from collections.abc import Iterator

from ...analysis.view import View
from ...cost.counts import count, total
from ...graph.graph import Layer
from ...graph.parts import NET
from ...mobilenetv3.variants import vary
from ...record.target import Target
from ...render.numbers import compact, milliseconds
from ..advice import Advice
from ..command import command
from ..saved import exactly


def advise(view: View) -> Iterator[Advice]:
    """Advise to try the network without it, with its share of the latency, or else of the parameters."""
    layers = [layer for layer in view.graph.layers if layer.role.startswith("se_")]
    if not layers or view.run.subject.listed is None:
        return
    params = _params(view)
    what, why = "Try the network without squeeze-excite", f"It has {compact(params)} of the parameters."
    end = "Its accuracy without is not known."
    target = view.fastest()
    taken = _share(view, target, layers) if target else 0.0
    if target and taken:
        seconds = taken * (view.per_image(NET, target) or 0.0)
        yield Advice(
            what,
            f"{milliseconds(seconds)}, {exactly(taken, 'latency')}",
            taken,
            f"{why} Its operators take that share of the time on {view.label_of(target)}. {end}",
            command(view, "compare", "--without-se", "--latency", "--on", target.place),
        )
    else:
        share = params / view.costs[NET].params
        yield Advice(
            what,
            exactly(share, "parameters"),
            share,
            f"{why} {end}",
            command(view, "compare", "--without-se"),
        )


def _params(view: View) -> int:
    """Return by how many parameters the network without is smaller."""
    without = view.run.subject.varied(vary(view.run.subject.table, without_se=True))
    return view.costs[NET].params - total(count(without.graph)).params


def _share(view: View, target: Target, layers: list[Layer]) -> float:
    """Return the share of the network's operators' time, 0 if they were not profiled or noise hides it."""
    operators = [o for o in view.run.operators if (o.variant, o.part, o.target) == ("", NET, target)]
    whole = sum(operator.seconds for operator in operators)
    names = {layer.name for layer in layers}
    inside = sum(operator.seconds for operator in operators if operator.layer in names)
    return inside / whole if whole and view.is_clear(NET, target) else 0.0
