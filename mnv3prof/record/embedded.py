"""Runs inside a page: compressed, so that the page can be made again from itself."""

import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Any, Final

import msgspec

from ..graph.errors import InputError
from ..mobilenetv3.files import MAX_RUN_BYTES

_OPEN: Final = '<script type="application/x-mnv3prof-run">'
_CLOSE: Final = "</script>"


def embed(document: bytes) -> str:
    """The element that holds a run's document in a page, deflated and in base64."""
    return f"{_OPEN}{b64encode(zlib.compress(document, 9)).decode()}{_CLOSE}"


def embedded(page: str, where: str) -> list[Any]:
    """The documents of all runs in a page. Raises InputError where there is none or one is damaged."""
    pieces = [piece.partition(_CLOSE)[0] for piece in page.split(_OPEN)[1:]]
    if not pieces:
        raise InputError(f"{where}: holds no run; a page that mnv3prof report wrote holds its own")
    try:
        return [msgspec.json.decode(_inflated(piece)) for piece in pieces]
    except (NotBase64, zlib.error, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: its run is damaged: {error}") from None


def _inflated(piece: str) -> bytes:
    inflater = zlib.decompressobj()
    data = inflater.decompress(b64decode(piece, validate=True), MAX_RUN_BYTES)
    if not inflater.eof:
        raise ValueError(f"it is cut off, or larger than {MAX_RUN_BYTES:,} bytes")
    return data
