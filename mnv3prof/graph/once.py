"""Compute values derived from a graph once."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from .errors import require
from .graph import Graph

_More = ParamSpec("_More")
_Found = TypeVar("_Found")


def once(
    function: Callable[Concatenate[Graph, _More], _Found],
) -> Callable[Concatenate[Graph, _More], _Found]:
    """Cache the results of a function of a graph in the graph, by the other arguments.

    The function raises InputError for what is no graph.

    Graphs are immutable, and tables, charts and documents of one command need the same values.
    """
    takes = signature(function)

    @wraps(function)
    def kept(graph: Graph, /, *more: _More.args, **named: _More.kwargs) -> _Found:
        require(graph, Graph, function.__name__, "what mnv3prof.expand returns")
        given = takes.bind(graph, *more, **named)
        given.apply_defaults()
        _, *others = given.arguments.values()
        key: tuple[Any, ...] = (function, *others)
        if key not in graph.derived:
            graph.derived[key] = function(graph, *more, **named)
        found: _Found = graph.derived[key]
        return found

    return kept
