"""Parameters of the layers after the last row."""

from collections.abc import Iterator
from typing import Final

from ...analysis.view import View
from ...cost.counts import count, total
from ...graph.errors import InputError
from ...graph.parts import NET
from ...mobilenetv3.variants import vary
from ...mobilenetv3.width_rules import is_like_mobilenetv3
from ...render.numbers import compact
from ..advice import Advice
from ..command import command
from ..saved import exactly

_MUCH: Final = 0.25
"""Share of the parameters in the classifier from which a smaller tail is advised."""


def advise(view: View) -> Iterator[Advice]:
    """Advise the reduced tail of the paper where the classifier has many of the parameters."""
    table, last = view.run.subject.listed, view.graph.blocks[-1]
    share = view.param_shares()[last.name]
    if table is None or not is_like_mobilenetv3(table) or share < _MUCH:
        return
    try:
        reduced = view.run.subject.varied(vary(table, reduced_tail=True))
    except InputError:  # it has no row of stride 2, or the widths cannot be halved
        return
    own, other = view.costs[NET], total(count(reduced.graph))
    saved = own.params - other.params
    yield Advice(
        "Try the reduced tail",
        exactly(saved / own.params, "parameters"),
        saved / own.params,
        f"{last.title.capitalize()} has {share:.0%} of the parameters. With the tail of the paper's section "
        f"6.4 the network has {compact(saved)} fewer parameters and {compact(own.macs - other.macs)} fewer "
        "MACs. Its accuracy is not known.",
        command(view, "compare", "--reduced-tail"),
    )
