"""Runs embedded in a report, compressed, so that the report can be rendered again."""

import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Final

from ..graph.errors import InputError
from .read import MAX_RUN_BYTES, MAX_VALUES

_OPEN: Final = b'<script type="application/x-mnv3prof-run">'
_CLOSE: Final = b"</script>"


def embed(document: bytes) -> str:
    """Return the HTML element that holds a run's document, deflated and in base64."""
    return (_OPEN + b64encode(zlib.compress(document)) + _CLOSE).decode()


def embedded(page: bytes, where: str) -> Iterator[bytes]:
    """Return the documents in a page. Raises InputError if none or one is damaged.

    MAX_RUN_BYTES and MAX_VALUES limit all documents of the page together.
    """
    elements, left, values = page.split(_OPEN)[1:], MAX_RUN_BYTES, 0
    if not elements:
        raise InputError(f"{where}: holds no run; expected a page written by mnv3prof report")
    for element in elements:
        try:
            document = _inflate(element.partition(_CLOSE)[0], left)
        except (NotBase64, zlib.error, ValueError) as error:
            raise InputError(f"{where}: its run is damaged: {error}") from None
        left, values = left - len(document), values + document.count(b",")
        if values > MAX_VALUES:
            raise InputError(f"{where}: holds more than {MAX_VALUES:,} values; expected at most as many")
        yield document


def _inflate(text: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj()
    data = inflater.decompress(b64decode(text, validate=True), most + 1)
    if len(data) > most:
        raise ValueError(f"the page holds more than {MAX_RUN_BYTES:,} bytes")
    if not inflater.eof:
        raise ValueError("it is cut off")
    return data
