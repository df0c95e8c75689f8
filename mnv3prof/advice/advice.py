"""Advice on a network: what to try, ranked by what it would save."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final, NamedTuple

from ..analysis.view import View
from ..registry import stems
from . import rules

LEAST: Final = 0.02
"""Least share of the latency, the parameters, ... that is worth an advice."""
MOST: Final = 8
"""Maximum number of pieces of advice."""


class Advice(NamedTuple):
    """A thing to try. what: an order. saves: how much, with its interval if it is measured. share: of the
    latency, the parameters, ... that it would save, 0 to 1. why: the evidence. command: tries it.
    """

    what: str
    saves: str
    share: float
    why: str
    command: str


TITLE: Final = "What to try"
NOTHING: Final = "This run shows nothing that would clearly save."


Rule = Callable[[View], Iterator[Advice]]


def advise(view: View) -> tuple[Advice, ...]:
    """Return the advice that the run carries, that which would save most first."""
    every: list[Rule] = [import_module(f".{stem}", rules.__name__).advise for stem in stems(rules.__file__)]
    found = [advice for rule in every for advice in rule(view) if advice.share >= LEAST]
    return tuple(sorted(found, key=lambda advice: -advice.share)[:MOST])
