"""The one error that a user's input raises, and how a message quotes that input."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import Final, TypeVar

_Value = TypeVar("_Value")
_NEAR: Final = 0.7
_MOST_LETTERS: Final = 290
"""Of a message: 300 with the name of the program before it."""

MOST_LETTERS: Final = 280
"""Of a message that lists things."""


class InputError(ValueError):
    """What the user gave cannot be used; the message is one sentence that says what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def require(value: object, kind: type, where: str, expected: str) -> None:
    """Raise InputError about `where` unless `value` is a `kind`. expected: what makes one."""
    if not isinstance(value, kind):
        given = shown(value) if isinstance(value, (str, int, float, NoneType)) else type(value).__name__
        raise InputError(f"{where}: {given} is not a {kind.__name__}; expected {expected}")


@contextmanager
def about(where: str) -> Iterator[None]:
    """Put `where` before the sentence of an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def shown(value: object) -> str:
    """The value as an error message quotes it: short, whatever was given."""
    if type(value) is int and value.bit_length() > 100:
        return f"an integer of {value.bit_length():,} bits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def printable(text: str) -> str:
    """Replace what a terminal obeys and what UTF-8 cannot hold: spaces for line ends and tabs, else "?"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def one_line(text: str) -> str:
    """Return `text` as a message: printable, and without the middle of what is too long."""
    line = " ".join(printable(text).split())
    if len(line) <= _MOST_LETTERS:
        return line
    end = _MOST_LETTERS // 3
    return f"{line[: _MOST_LETTERS - end - 5]} ... {line[-end:]}"


def shortened(begin: str, parts: Sequence[str]) -> str:
    """`begin` and as many of the parts as a message has room for; then how many are left out."""
    text = begin + "; ".join(parts)
    kept = len(parts)
    while len(text) > MOST_LETTERS and kept:
        kept -= 1
        text = f"{begin}{'; '.join([*parts[:kept], f'and {len(parts) - kept} more'])}"
    return text


def did_you_mean(name: str, options: Mapping[str, str]) -> str:
    """Return "did you mean X?" for the option nearest to `name`, or "". options: what is shown for each."""
    import difflib

    typed, known = name.strip().lower()[:100], {option.lower(): meant for option, meant in options.items()}
    near = difflib.get_close_matches(typed, known, 1, _NEAR)
    if not near and len(typed) > 2:
        near = [option for option in known if typed in option][:3]
    return f"did you mean {' or '.join(known[each] for each in near)}?" if near else ""


def suggestion(name: str, options: Iterable[str]) -> str:
    """The end of a message about a name that is none of `options`: the nearest, or all of them."""
    known = {option: option for option in options}
    return did_you_mean(name, known) or f"expected {', '.join(known)}"


def lookup(name: str, known: Mapping[str, _Value], what: str) -> _Value:
    """The value of `name` in `known`. Raises InputError about a `what` that is not there."""
    if name not in known:
        raise InputError(f"{what}: {shown(name)} is not known; {suggestion(name, known)}")
    return known[name]
