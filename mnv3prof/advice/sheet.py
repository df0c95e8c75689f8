"""Advice as a table, and as lines for a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from ..analysis.view import View
from ..render.sheet import Column, Sheet
from .advice import NOTHING, TITLE, Advice, advise


def advice_sheet(view: View) -> Sheet:
    """Return the advice on a view's network, a row for each piece."""
    title = f"{TITLE} with {view.called}" if view.called else TITLE
    found = advise(view)
    if not found:
        return Sheet(title, (), (), notes=(NOTHING,))
    columns = (
        Column("what", "What", "prose"),
        Column("saves", "Saves", "text"),
        Column("why", "Why", "prose"),
        Column("command", "Command", "text"),
    )
    return Sheet(title, columns, tuple((a.what, a.saves, a.why, a.command) for a in found))


def advice_lines(found: Sequence[Advice], width: int) -> Iterator[str]:
    """Yield lines of at most `width` characters; commands are not broken."""
    for number, advice in enumerate(found, 1):
        begin = f"  {number}. "
        indent = " " * len(begin)
        told = f"{advice.what}: saves {advice.saves}"
        yield from wrap(told, width, initial_indent=begin, subsequent_indent=indent)
        yield from wrap(advice.why, width, initial_indent=indent, subsequent_indent=indent)
        yield f"{indent}$ {advice.command}"
