"""Symbolic sizes of an archive of torch.export, with numbers for its symbols."""

import ast
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

from ...graph.errors import InputError, quote
from ...graph.graph import Shape
from ..shapes import at_batch_1

_LONGEST: Final = 2_000
_MOST: Final = 2**63
_ARITHMETIC: Final = ("Add", "Mul", "Pow", "Max", "Min", "FloorDiv", "CleanDiv", "Mod", "PythonMod")
"""Functions of integers in SymPy's text of an expression."""


class Symbols:
    """Numbers for symbols. ranges: the least and most of each, as the archive has them."""

    def __init__(self, ranges: Mapping[str, Mapping[str, Any]]) -> None:
        self.ranges = ranges
        self.values: dict[str, int] = {}
        self._known: dict[str, int | None] = {}

    def fix(self, name: str, sizes: Sequence[Mapping[str, Any]], wanted: Shape) -> None:
        """Take the symbols of an input from its wanted shape, or from its last sizes. Raises InputError.

        A first size that is a symbol is the batch, 1, if no other is wanted.
        """
        known = tuple(size["as_int"] if "as_int" in size else _symbol(size) or "?" for size in sizes)
        shape = at_batch_1(name, known, wanted)
        given = len(known) - len(wanted)
        for n, (symbol, size) in enumerate(zip(known, shape, strict=True)):
            if isinstance(symbol, str):
                if n >= given:
                    self._require_in_range(name, symbol, size)
                if self.values.setdefault(symbol, size) != size:
                    both = f"{self.values[symbol]} and {size}"
                    raise InputError(f"input {quote(name)}: {symbol} is {both}; expected one number")

    def _require_in_range(self, name: str, symbol: str, size: int) -> None:
        bounds = self.ranges.get(symbol, {})
        least, most = (bounds.get(key) for key in ("min_val", "max_val"))
        if (type(least) is int and size < least) or (type(most) is int and size > most):
            text = f"{least} to {most}" if type(most) is int else f"{least} or more"
            raise InputError(f"input {quote(name)}: {symbol} is {size}; the file allows {text}")

    def value(self, size: Mapping[str, Any]) -> Any:
        """Return a size or stride as a number, None if that is not known."""
        if "as_int" in size:
            return size["as_int"]
        text = _text(size)
        if text not in self._known:
            self._known[text] = self._evaluated(text)
        return self._known[text]

    def _evaluated(self, text: str) -> int | None:
        if not 0 < len(text) <= _LONGEST:
            return None
        try:
            return self._number(ast.parse(text, mode="eval").body)
        except (SyntaxError, ValueError, LookupError, ArithmeticError, RecursionError, MemoryError):
            return None

    def _number(self, node: ast.expr) -> int:
        """Return the value of a call such as Add(Integer(1), Symbol('s0', positive=True))."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            name = node.func.id
            if name in ("Symbol", "Integer"):
                known = ast.literal_eval(node.args[0])
                return self.values[known] if name == "Symbol" else int(known)
            if name in _ARITHMETIC:
                return _bounded(_applied(name, [self._number(each) for each in node.args]))
        raise ValueError


def _applied(name: str, values: Sequence[int]) -> int:
    if name in ("Add", "Mul"):
        return sum(values) if name == "Add" else prod(values)
    if name in ("Max", "Min"):
        return max(values) if name == "Max" else min(values)
    first, second = values
    if name == "Pow":
        if not 0 <= second <= 8:
            raise ValueError
        return int(first**second)
    return first % second if name.endswith("Mod") else first // second


def _bounded(value: int) -> int:
    if abs(value) > _MOST:
        raise ValueError
    return value


def _text(size: Mapping[str, Any]) -> str:
    expression = size.get("as_expr")
    found = expression.get("expr_str") if isinstance(expression, Mapping) else None
    return found if isinstance(found, str) else ""


def _symbol(size: Mapping[str, Any]) -> str:
    """Return the symbol that a size is, "" if it is something else."""
    text = _text(size)
    begin, _, rest = text.partition("'")
    name = rest.partition("'")[0]
    is_one = begin == "Symbol(" and name.isidentifier() and len(name) <= 60 and text.count("(") == 1
    return name if is_one else ""
