"""The arena that a runtime planned."""

from typing import Annotated, Final

import msgspec

from ..cost.counts import Dtype

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Bytes, or a dimension of a shape."""

NOT_READ: Final = "not read: interrupted"
"""Reason of a plan that an interrupt left out."""


class PlannedTensor(msgspec.Struct, frozen=True):
    """A tensor in a runtime's arena, with the runtime's own order of axes."""

    shape: tuple[Size, ...]
    offset: Size
    bytes: Size


class RuntimePlan(msgspec.Struct, frozen=True):
    """The arena that a backend planned for the whole network.

    bytes: its size, 0 if there is none. reason: why there is none, or "".
    """

    backend: str
    bytes: Size = 0
    tensors: tuple[PlannedTensor, ...] = ()
    reason: str = ""
    dtype: Dtype = "fp32"
    batch: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
