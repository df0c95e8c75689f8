"""Cache values derived from a graph."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from .errors import require
from .graph import Graph

_Others = ParamSpec("_Others")
_Result = TypeVar("_Result")


def once(
    function: Callable[Concatenate[Graph, _Others], _Result],
) -> Callable[Concatenate[Graph, _Others], _Result]:
    """Cache the results of a function of a graph, in the graph, by the other arguments.

    Graphs are immutable, and one command needs the same values in tables, charts and documents.
    The function raises InputError if its first argument is not a Graph.
    """
    parameters = signature(function)

    @wraps(function)
    def cached(graph: Graph, /, *args: _Others.args, **kwargs: _Others.kwargs) -> _Result:
        require(graph, Graph, function.__name__, "what mnv3prof.expand returns")
        bound = parameters.bind(graph, *args, **kwargs)
        bound.apply_defaults()
        _, *others = bound.arguments.values()
        key: tuple[Any, ...] = (function, *others, *map(type, others))  # True is 1, and not the same
        try:
            hash(key)
        except TypeError:
            return function(graph, *args, **kwargs)  # which refuses such arguments
        if key not in graph.derived:
            graph.derived[key] = function(graph, *args, **kwargs)
        result: _Result = graph.derived[key]
        return result

    return cached
