"""Operators that a runtime added only to rearrange tensors."""

from collections.abc import Iterator

from ...analysis.operators import changes_layout
from ...analysis.view import View
from ...graph.parts import NET
from ..advice import Advice
from ..command import command
from ..saved import exactly
from .runtime import settings


def advise(view: View) -> Iterator[Advice]:
    """Advise to avoid them where the fastest target spends time on them."""
    target = view.fastest()
    if target is None or not view.is_clear(NET, target):
        return
    operators = [o for o in view.run.operators if (o.variant, o.part, o.target) == ("", NET, target)]
    whole = sum(operator.seconds for operator in operators)
    moving = [operator for operator in operators if changes_layout(operator)]
    if moving and whole:
        share = sum(operator.seconds for operator in moving) / whole
        where = view.label_of(target)
        yield Advice(
            f"Avoid changes of the layout on {where}",
            f"up to {exactly(share, 'latency')}",
            share,
            f"{len(moving)} of its {len(operators)} operators only rearrange tensors.",
            command(view, "latency", "--on", target.place, "--parts", "net", "--ops", *settings(target)),
        )
