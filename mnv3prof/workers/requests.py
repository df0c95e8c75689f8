"""Requests to a worker with PyTorch, in addition to those of device.protocol."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ..cost.counts import Dtype
from ..device.protocol import PartKey
from ..record.run import Subject
from .formats import Layout

Subjects = Mapping[str, Subject]
"""Networks by variant."""


class FileKind(NamedTuple):
    """A converted file: its format, the dtype of its weights, and the images per call.

    opset: None for the converter's default. layout: of input and output, as far as they are images.
    """

    format: str
    dtype: Dtype
    batch: int
    opset: int | None = None
    layout: Layout = "nchw"

    def __str__(self) -> str:
        batch = [f"batch {self.batch}"] if self.batch > 1 else []
        opset = [f"opset {self.opset}"] if self.opset is not None else []
        layout = [self.layout] if self.layout != "nchw" else []
        return ", ".join(
            [self.format, *([self.dtype] if self.dtype != "fp32" else []), *batch, *opset, *layout]
        )


class Open(msgspec.Struct, frozen=True):
    """Set the networks, each of which is built when first needed. Answer: {}."""

    subjects: Subjects
    batch: int


class Convert(msgspec.Struct, frozen=True):
    """Convert a part into the cache at `folder`. Answer: cache.Entry."""

    part: PartKey
    kind: FileKind
    folder: str
    key: str


class PlanAhead(msgspec.Struct, frozen=True):
    """Read the arena that a converter plans for a part. Answer: protocol.Planned."""

    part: PartKey
    kind: FileKind


class MeasurePeak(msgspec.Struct, frozen=True):
    """Measure a burst of the peak rates of a PyTorch device, e.g. "cuda". Answer: peaks.PeakBurst."""

    name: str
    dtype: Dtype
    threads: int
