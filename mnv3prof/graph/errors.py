"""InputError, and how error messages quote what a user gave."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from numbers import Integral, Real
from types import NoneType
from typing import Final, TypeVar

_Value = TypeVar("_Value")
_MIN_SIMILARITY: Final = 0.7
_MAX_MESSAGE: Final = 290
"""Maximum length of a message: 300 characters with the program's name before it."""

MOST_LETTERS: Final = 280
"""Maximum length of a message that lists things."""


class InputError(ValueError):
    """Input that cannot be used. The message says where, what is wrong, and what is expected.

    >>> mnv3prof.load("larg")
    Traceback (most recent call last):
    mnv3prof.graph.errors.InputError: larg: no such file or preset; did you mean large?
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def require(value: object, kind: type | tuple[type, ...], where: str, expected: str) -> None:
    """Raise InputError about `where` unless `value` is of a kind, or of one of several.

    expected: what makes one.
    """
    if not isinstance(value, kind):
        given = quote(value) if isinstance(value, (str, int, float, NoneType)) else type(value).__name__
        name = kind.__name__ if isinstance(kind, type) else kind[0].__name__
        article = "an" if name[0] in "AEIOU" else "a"
        raise InputError(f"{where}: {given} is not {article} {name}; expected {expected}")


def require_boolean(value: object, where: str) -> None:
    """Raise InputError about `where` unless `value` is True or False."""
    if type(value) is not bool:
        raise InputError(f"{where}: {quote(value)} is not allowed; expected True or False")


def require_at_least_1(value: object, where: str) -> None:
    """Raise InputError about `where` unless `value` is an integer of at least 1."""
    if type(value) is not int or value < 1:
        raise InputError(f"{where}: {quote(value)} is not allowed; expected an integer of at least 1")


def as_number(value: object) -> object:
    """Return a number of another library, e.g. NumPy's, as Python's, and anything else as it is."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, (bool, int)) else value


def one_of(value: object, options: Collection[str], where: str) -> None:
    """Raise InputError about `where` unless `value` is one of the options."""
    if not isinstance(value, str) or value not in options:
        raise InputError(f"{where}: {quote(value)} is not allowed; expected {any_of(options)}")


def any_of(options: Iterable[str]) -> str:
    """Return "a, b or c"."""
    *most, last = options
    return f"{', '.join(most)} or {last}" if most else last


@contextmanager
def about(where: str) -> Iterator[None]:
    """Put `where` before the message of an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def quote(value: object) -> str:
    """Return `value` as a message quotes it: its repr, at most 60 characters."""
    if type(value) is int and value.bit_length() > 100:
        return f"an integer of {value.bit_length():,} bits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def quote_as_written(value: object) -> str:
    """Return a value of a document as its file has it: true, null, [1, true]; else as quote() does."""
    import json

    if value is None or isinstance(value, (bool, list, dict)):
        with suppress(TypeError, ValueError, RecursionError):
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= 60 else text[:57] + "..."
    return quote(value)


def printable(text: str) -> str:
    """Replace line ends and tabs by spaces, other unprintable characters by "?"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def one_line(text: str) -> str:
    """Return `text` as one printable line, with the middle of a long one left out."""
    line = " ".join(printable(text).split())
    if len(line) <= _MAX_MESSAGE:
        return line
    end = _MAX_MESSAGE // 3
    begin, rest = line[: _MAX_MESSAGE - end - 5], line[-end:]
    # Cut between words, unless one of them fills the line.
    begin = begin.rpartition(" ")[0] if " " in begin[-end:] else begin
    rest = rest.partition(" ")[2] if " " in rest else rest
    return f"{begin} ... {rest}"


def shortened(begin: str, parts: Sequence[str], used: int = 0) -> str:
    """Return `begin` and as many parts as a message has room for, then how many more there are.

    used: letters of the message before `begin`.
    """
    text = begin + "; ".join(parts)
    kept = len(parts)
    while len(text) > MOST_LETTERS - used and kept:
        kept -= 1
        text = f"{begin}{'; '.join([*parts[:kept], f'and {len(parts) - kept} more'])}"
    return text


def did_you_mean(name: str, options: Mapping[str, str]) -> str:
    """Return "did you mean X?" for the option closest to `name`, or "".

    options: the text to suggest, by name.
    """
    import difflib

    typed, known = name.strip().lower()[:100], {option.lower(): text for option, text in options.items()}
    near = difflib.get_close_matches(typed, known, 1, _MIN_SIMILARITY)
    if not near and len(typed) > 2:
        near = [option for option in known if typed in option][:3]
    return f"did you mean {' or '.join(known[each] for each in near)}?" if near else ""


def suggestion(name: str, options: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the closest option, or all of them."""
    known = {option: option for option in options}
    return did_you_mean(name, known) or f"expected {any_of(known)}"


def lookup(name: str, known: Mapping[str, _Value], what: str) -> _Value:
    """Return known[name]. Raises InputError about `what` if it is missing."""
    if name not in known:
        raise InputError(f"{what}: {quote(name)} is not known; {suggestion(name, known)}")
    return known[name]
