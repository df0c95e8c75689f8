"""Redirection of what code that is not ours prints, compiled code included."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def redirected(sources: tuple[int, ...], target: int | None = None) -> Iterator[None]:
    """Send what is written to file descriptors to another one, or to none; closed ones stay closed."""
    streams = [each for each in (sys.stdout, sys.__stdout__, sys.stderr) if each is not None]
    kept = {}
    for source in sources:
        with suppress(OSError):
            kept[source] = os.dup(source)
    _flush(streams)
    opened = _opened(target)
    try:
        for source in kept:
            os.dup2(opened, source)
        yield
    finally:
        _flush(streams)
        for source, copy in kept.items():
            os.dup2(copy, source)
            os.close(copy)
        os.close(opened)


def _opened(target: int | None) -> int:
    if target is not None:
        with suppress(OSError):
            return os.dup(target)
    return os.open(os.devnull, os.O_WRONLY)


def _flush(streams: list[TextIO]) -> None:
    """Write the buffers of Python's streams, and those of the C library."""
    import ctypes

    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):  # it is closed
            stream.flush()
    with suppress(OSError, TypeError, AttributeError):  # Windows has several C libraries
        ctypes.CDLL(None).fflush(None)
