"""What a worker that has PyTorch is asked beyond device.protocol: it has networks, not only files."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ..cost.counts import Dtype
from ..device.protocol import Piece
from ..record.run import Subject

Subjects = Mapping[str, Subject]
"""Networks by variant."""


class FileKind(NamedTuple):
    """What a part is converted to: a format, with weights of a dtype, for so many images a call."""

    format: str
    dtype: Dtype
    batch: int

    def __str__(self) -> str:
        batch = [f"batch {self.batch}"] if self.batch > 1 else []
        return ", ".join([self.format, *([self.dtype] if self.dtype != "fp32" else []), *batch])


class Open(msgspec.Struct, frozen=True):
    """Name the networks, each of which is built when a part of it is first wanted. Answer: {}."""

    subjects: Subjects
    batch: int


class Convert(msgspec.Struct, frozen=True):
    """Ask for a part's entry in the cache's `folder` to be made. Answer: cache.Entry."""

    piece: Piece
    kind: FileKind
    folder: str
    key: str


class PlanAhead(msgspec.Struct, frozen=True):
    """Ask for the arena that a format's converter plans for a part. Answer: protocol.Planned."""

    piece: Piece
    kind: FileKind


class MeasureRoof(msgspec.Struct, frozen=True):
    """Ask for the peak rates of what PyTorch calls so: "cpu", "cuda", ... Answer: record.run.Roof."""

    name: str
    dtype: Dtype
    threads: int
