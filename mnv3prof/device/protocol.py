"""Requests to a worker, its answers, and the frames that carry them.

A frame is two unsigned 32-bit lengths, big-endian, then a JSON object in UTF-8 of the first length and
raw bytes of the second. One request, one answer, in order. A request is {"do": its class, "within_s":
after so many seconds the answer is of no use, or null, ...its fields}; an answer its fields, or {"failed":
why, "status": "unsupported", "not available" or "crashed"}.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

HELLO = b"\0mnv3prof-1\n"
"""Written by a worker once it can read frames, followed by the random token that it was started with.

Output before the two is ignored, also if a library prints HELLO by itself."""

_LENGTHS = struct.Struct(">II")
_MOST_JSON = 64 * 2**20
_MOST_RAW = 2**30


class PartKey(NamedTuple):
    """A part of a variant: a block, the whole network, or the module at a path."""

    variant: str
    part: str


@dataclass(frozen=True)
class Begin:
    """Import the runtime, which does not count as loading a part. Answer: Begun."""

    runtime: str


@dataclass(frozen=True)
class Begun:
    """Answer to Begin. chip: what the runtime runs on."""

    chip: str = "cpu"


@dataclass(frozen=True)
class Prepare:
    """Load a part and run it once. Answer: Prepared.

    folder, main: the folder of its files, and the name of the main file; "" if the part has no file.
    The folder holds given0.npy, given1.npy, ..., the inputs, each (N, ...), and expected0.npy, ..., PyTorch
    eager's outputs.
    """

    part: PartKey
    folder: str
    main: str
    dtype: str
    threads: int


@dataclass(frozen=True)
class Prepared:
    """Times of loading and of the first run, and the errors of the outputs, of several the worst.

    max_abs_err: the largest error; max_rel_err: the same by the largest expected magnitude; rms_rel_err:
    root mean square by root mean square; all are the share of wrong values where the output is not of floats.
    None where they are not finite.
    """

    load_s: float
    first_s: float
    max_abs_err: float | None
    max_rel_err: float | None
    rms_rel_err: float | None

    def __post_init__(self) -> None:
        """Raise ValueError for negative values."""
        figures = (self.load_s, self.first_s, self.max_abs_err, self.max_rel_err, self.rms_rel_err)
        if any(figure is not None and figure < 0 for figure in figures):
            raise ValueError("times and errors must not be negative")


@dataclass(frozen=True)
class Sample:
    """Time a loaded part for about so many seconds. Answer: clock.Burst."""

    part: PartKey
    seconds: float


@dataclass(frozen=True)
class Operators(Prepare):
    """Profile the operators of a part over so many calls. Answer: OperatorTimes."""

    calls: int


@dataclass(frozen=True)
class RuntimeOp:
    """An operator in a runtime's own terms. kind: its type; out_shape: of one image, None if not known."""

    name: str
    kind: str
    seconds: float
    out_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class OperatorTimes:
    """Answer to Operators: the operators in execution order."""

    operators: tuple[RuntimeOp, ...]


@dataclass(frozen=True)
class Classify(Prepare):
    """Run the whole network on images, in calls of the input's batch. Answer: Classified.

    images: the file of an array (M, ...), fp32, each of the shape of one input.
    """

    images: str


@dataclass(frozen=True)
class Classified:
    """Answer to Classify: the class of the largest output of each image; -1 if one is not finite."""

    classes: tuple[int, ...]


@dataclass(frozen=True)
class PlanMemory(Prepare):
    """Read the arena that the runtime plans for a part. Answer: Planned."""


@dataclass(frozen=True)
class Placed:
    """A tensor in a runtime's arena. shape: in the runtime's own order of axes."""

    shape: tuple[int, ...]
    offset: int
    bytes: int


@dataclass(frozen=True)
class Planned:
    """Answer to PlanMemory: the size of the arena and the tensors in it."""

    bytes: int
    tensors: tuple[Placed, ...]


@dataclass(frozen=True)
class Place:
    """Make a folder of a part's files. files: digests by name. Answer: Placement."""

    files: dict[str, str]


@dataclass(frozen=True)
class Placement:
    """Answer to Place: the folder, or "" and the digests of files that have to be put first."""

    folder: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Put:
    """Keep a file. raw: its content, which travels beside the JSON object. Answer: Stored."""

    digest: str
    raw: bytes


@dataclass(frozen=True)
class Stored:
    """Answer to Put."""


@dataclass(frozen=True)
class Cached:
    """Count the files that are kept. Answer: Kept."""


@dataclass(frozen=True)
class Clear:
    """Remove all files that are kept. Answer: Kept, of what there was."""


@dataclass(frozen=True)
class Kept:
    """Answer to Cached and Clear."""

    folder: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Hold:
    """Reserve the device until this worker ends. Answer: Held, or a refusal if it is being measured.

    owner: a random token of the measurement. name: that it has for the device.
    """

    owner: str = ""
    name: str = ""


@dataclass(frozen=True)
class Held:
    """Answer to Hold. name: under which the same measurement has reserved this device already, else ""."""

    name: str = ""


@dataclass(frozen=True)
class Describe:
    """Describe the machine, and the versions of these packages of Python. Answer: Machine."""

    packages: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """Answer to Describe.

    model: of the board or computer; cpu: of the processor; both "" where the system does not say. cores: how
    many it may use. allowed: the numbers of the CPUs that a program of this user may choose, () where the
    system has no such choice; cpus: those that this worker uses. capacities: relative speeds of all cores, of
    a processor with several kinds; max_hz: highest clock rate of each. versions: of the
    packages that are there. governors: that set the clock rates.
    """

    model: str
    cpu: str
    architecture: str
    cores: int
    memory_bytes: int
    os: str
    python: str
    versions: dict[str, str]
    capacities: tuple[int, ...] = ()
    max_hz: tuple[float, ...] = ()
    governors: tuple[str, ...] = ()
    state: dict[str, float] = field(default_factory=dict)
    allowed: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class MeasureRoof:
    """Measure a burst of NumPy's fp32 product and of a copy. Answer: Roof."""


@dataclass(frozen=True)
class Roof:
    """Answer to MeasureRoof: a burst of a product of `macs` MACs, and one of a copy of `bytes`.

    bytes: read and written. product, copy: fields of clock.Burst.
    """

    macs: int
    product: dict[str, Any]
    bytes: int
    copy: dict[str, Any]


class Frame(NamedTuple):
    """An encoded JSON object, and raw bytes."""

    header: bytes
    raw: bytes = b""


def write_frame(line: IO[bytes], frame: Frame) -> None:
    """Write a frame. Raises OSError if the other end is closed."""
    line.write(_LENGTHS.pack(len(frame.header), len(frame.raw)) + frame.header + frame.raw)
    line.flush()


def read_frame(line: IO[bytes], most: int | None = None) -> Frame | None:
    """Return the next frame, or None at the end of the stream.

    most: largest length, None for those of the protocol. Raises ValueError if a length is above the limit,
    OSError if the stream cannot be read.
    """
    start = line.read(_LENGTHS.size)
    if len(start) < _LENGTHS.size:
        return None
    header_bytes, raw_bytes = _LENGTHS.unpack(start)
    if header_bytes > (most or _MOST_JSON) or raw_bytes > (most or _MOST_RAW):
        raise ValueError(f"a frame of {header_bytes} + {raw_bytes} bytes is too long")
    frame = Frame(line.read(header_bytes), line.read(raw_bytes))
    return frame if (len(frame.header), len(frame.raw)) == (header_bytes, raw_bytes) else None


def encoded(fields: Mapping[str, Any]) -> Frame:
    """Encode a JSON object as a frame. Raises ValueError for numbers that are not finite."""
    return Frame(json.dumps(fields, allow_nan=False).encode())
