"""A value that must be there."""

from typing import TypeVar

_Value = TypeVar("_Value")


def some(value: _Value | None) -> _Value:
    """Return a value that is not None."""
    assert value is not None
    return value
