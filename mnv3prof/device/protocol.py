"""What a worker is asked, what it answers, and the frames that carry both.

A frame is two unsigned 32-bit lengths, big-endian, then a JSON object in UTF-8 of the first length and
raw bytes of the second. One request, one answer, in order. A request is {"do": its class, "within_s":
after so many seconds the answer is of no use, or null, ...its fields}; an answer its fields, or {"failed":
why, "status": "unsupported" or "crashed"}.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

HELLO = b"\0mnv3prof-1\n"
"""What a worker writes when it is ready for frames; what comes before it is no frame."""

_LENGTHS = struct.Struct(">II")
_MOST_JSON = 64 * 2**20
_MOST_RAW = 2**30


class Piece(NamedTuple):
    """A part of a variant: a block, the whole network, or the module at a path."""

    variant: str
    part: str


@dataclass(frozen=True)
class Begin:
    """Ask for the runtime to be imported, which is not part of loading a part. Answer: Begun."""

    runtime: str


@dataclass(frozen=True)
class Begun:
    """The runtime is imported."""


@dataclass(frozen=True)
class Prepare:
    """Ask for a part to be made ready and run once. Answer: Prepared.

    folder, main: where its files stand, and the main one's name; "" of a part that is read from no file.
    The folder holds given.npy, the input (N, ...), and expected.npy, PyTorch eager's output, both fp32.
    """

    piece: Piece
    folder: str
    main: str
    dtype: str
    threads: int


@dataclass(frozen=True)
class Prepared:
    """A part is ready: how long it took, its first run, and how far its output is from the expected one.

    max_abs_err: the largest error; max_rel_err: the same by the largest expected magnitude; rms_rel_err:
    root mean square by root mean square. None where they are not finite.
    """

    load_s: float
    first_s: float
    max_abs_err: float | None
    max_rel_err: float | None
    rms_rel_err: float | None

    def __post_init__(self) -> None:
        """Raise ValueError for figures that cannot be."""
        figures = (self.load_s, self.first_s, self.max_abs_err, self.max_rel_err, self.rms_rel_err)
        if any(figure is not None and figure < 0 for figure in figures):
            raise ValueError("times and errors must not be negative")


@dataclass(frozen=True)
class Sample:
    """Ask for a burst of so many seconds of a part that is ready. Answer: clock.Burst."""

    piece: Piece
    seconds: float


@dataclass(frozen=True)
class Operators(Prepare):
    """Ask for the time of each operator of a part, over so many calls. Answer: OperatorTimes."""

    calls: int


@dataclass(frozen=True)
class RuntimeOp:
    """An operator as a runtime names it. kind: its type there; out_shape: of one image, if told."""

    name: str
    kind: str
    seconds: float
    out_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class OperatorTimes:
    """The operators in the order in which they ran."""

    operators: tuple[RuntimeOp, ...]


@dataclass(frozen=True)
class PlanMemory(Prepare):
    """Ask for the arena that the runtime plans for a part. Answer: Planned."""


@dataclass(frozen=True)
class Placed:
    """A tensor in a runtime's arena, with the runtime's own order of axes."""

    shape: tuple[int, ...]
    offset: int
    bytes: int


@dataclass(frozen=True)
class Planned:
    """An arena's size, and the tensors in it."""

    bytes: int
    tensors: tuple[Placed, ...]


class Frame(NamedTuple):
    """header: the JSON object, encoded."""

    header: bytes
    raw: bytes = b""


def write_frame(line: IO[bytes], frame: Frame) -> None:
    """Write a frame. Raises OSError where nobody reads."""
    line.write(_LENGTHS.pack(len(frame.header), len(frame.raw)) + frame.header + frame.raw)
    line.flush()


def read_frame(line: IO[bytes]) -> Frame | None:
    """The next frame; None where the line has ended.

    Raises ValueError for lengths beyond what is read, OSError where it cannot be read.
    """
    start = line.read(_LENGTHS.size)
    if len(start) < _LENGTHS.size:
        return None
    header_bytes, raw_bytes = _LENGTHS.unpack(start)
    if header_bytes > _MOST_JSON or raw_bytes > _MOST_RAW:
        raise ValueError(f"a frame of {header_bytes} + {raw_bytes} bytes is too long")
    frame = Frame(line.read(header_bytes), line.read(raw_bytes))
    return frame if (len(frame.header), len(frame.raw)) == (header_bytes, raw_bytes) else None


def encoded(fields: Mapping[str, Any]) -> Frame:
    """The frame of a JSON object. Raises ValueError for numbers that are not finite."""
    return Frame(json.dumps(fields, allow_nan=False).encode())
