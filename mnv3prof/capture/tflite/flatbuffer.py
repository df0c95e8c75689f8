"""Reading of TFLite's flatbuffers. Nobody has checked them, so no offset may lead outside the data.

A table has numbered fields; one that is left out has its default value.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

_OFFSET: Final = Struct("<I")
_TO_FIELDS: Final = Struct("<i")
_FIELD: Final = Struct("<H")
_FORMS: Final = {form: Struct(f"<{form}") for form in "bBiIQ"}


class DamagedError(ValueError):
    """Data that are not a flatbuffer. The message says what is wrong."""


class Table(NamedTuple):
    """A table at a position of the data."""

    data: bytes
    at: int

    def number(self, field: int, form: str = "i", default: int = 0) -> int:
        """Return an integer. form: its format in struct, one of b, B, i, I and Q."""
        place = self._place(field)
        return _unpack(_FORMS[form], self.data, place) if place else default

    def table(self, field: int) -> "Table | None":
        """Return an inner table, None if it is left out."""
        place = self._place(field)
        return Table(self.data, follow(self.data, place)) if place else None

    def tables(self, field: int, most: int) -> "Sequence[Table]":
        """Return a vector of tables, () if it is left out. Raises DamagedError for more than `most`."""
        start, count = self._vector(field, _OFFSET.size)
        if count > most:
            raise DamagedError(f"it has {count:,} entries where at most {most:,} are allowed")
        return [Table(self.data, follow(self.data, start + n * _OFFSET.size)) for n in range(count)]

    def integers(self, field: int, most: int) -> tuple[int, ...]:
        """Return a vector of 32-bit integers. Raises DamagedError for more than `most`."""
        start, count = self._vector(field, 4)
        if count > most:
            raise DamagedError(f"it has {count:,} entries where at most {most:,} are allowed")
        return Struct(f"<{count}i").unpack_from(self.data, start) if count else ()

    def text(self, field: int, most: int) -> str:
        """Return up to `most` bytes of a text, "" if it is left out."""
        start, count = self._vector(field, 1)
        return self.data[start : start + min(count, most)].decode("utf-8", "replace")

    def entries(self, field: int) -> int:
        """Return the number of entries of a vector, 0 if it is left out."""
        return self._vector(field, 1)[1]

    def _place(self, field: int) -> int:
        """Return the position of a field, 0 if it is left out."""
        fields = self.at - _unpack(_TO_FIELDS, self.data, self.at)
        if 4 + field * 2 >= _unpack(_FIELD, self.data, fields):
            return 0
        offset = _unpack(_FIELD, self.data, fields + 4 + field * 2)
        return self.at + offset if offset else 0

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Return position and number of the entries, of `size` bytes each."""
        place = self._place(field)
        if not place:
            return 0, 0
        at = follow(self.data, place)
        count = _unpack(_OFFSET, self.data, at)
        if count * size > len(self.data) - at - _OFFSET.size:
            raise DamagedError("it ends before the data that it says it has")
        return at + _OFFSET.size, count


def follow(data: bytes, at: int) -> int:
    """Return the position that the offset at `at` leads to. Raises DamagedError."""
    return at + _unpack(_OFFSET, data, at)


def _unpack(form: Struct, data: bytes, at: int) -> int:
    if not 0 <= at <= len(data) - form.size:
        raise DamagedError("an offset in it leads outside the file")
    return int(form.unpack_from(data, at)[0])
