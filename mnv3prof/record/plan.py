"""The arena that a runtime planned."""

from typing import Annotated

import msgspec

from ..cost.counts import Dtype

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""In bytes."""


class Held(msgspec.Struct, frozen=True):
    """A tensor in a runtime's arena, with the runtime's own order of axes."""

    shape: tuple[Size, ...]
    offset: Size
    bytes: Size


class RuntimePlan(msgspec.Struct, frozen=True):
    """What a backend planned for the whole network. bytes: the arena's, 0 where there is none and
    `reason` says why.
    """

    backend: str
    bytes: Size = 0
    tensors: tuple[Held, ...] = ()
    reason: str = ""
    dtype: Dtype = "fp32"
    batch: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
