"""Targets of timings: device, backend, dtype, batch and threads."""

from collections.abc import Collection, Iterable
from itertools import product
from math import prod
from typing import Annotated, Final, NamedTuple

import msgspec

from ..cost.counts import Dtype
from ..graph.errors import InputError

MOST: Final = 1_024
"""Maximum of images per call, and of threads."""

_MOST_TARGETS: Final = 64

Positive = Annotated[int, msgspec.Meta(ge=1, le=MOST)]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The conditions of a timing.

    device: "" for the machine of the run. batch: images per call. threads: of the runtime.

    >>> mnv3prof.Target(backend="onnxruntime", threads=2)
    Target(device='', backend='onnxruntime', dtype='fp32', batch=1, threads=2)
    """

    device: str = ""
    backend: str
    dtype: Dtype = "fp32"
    batch: Positive = 1
    threads: Positive = 1

    @property
    def place(self) -> str:
        """The backend and, for another machine, the device: "litert", "litert@pi"."""
        return f"{self.backend}@{self.device}" if self.device else self.backend

    @property
    def settings(self) -> str:
        """The dtype, batch and threads, e.g. "int8, batch 1, 4 threads"."""
        return ", ".join((self.dtype, f"batch {self.batch}", threads_of(self.threads)))


FIELDS: Final = ("device", "backend", "dtype", "batch", "threads")


class Pairing(NamedTuple):
    """The pairs of targets to compare.

    pairs: the old target by the new one. differing: the fields in which the two of each pair differ.
    """

    pairs: dict[Target, Target]
    differing: tuple[str, ...]


def combinations(
    places: Collection[str], dtypes: Collection[Dtype], batches: Collection[int], threads: Collection[int]
) -> tuple[Target, ...]:
    """Return the targets with all combinations. Raises InputError for too many.

    places: backends of this machine, "litert", or of another device, "litert@pi".
    """
    fields = (places, dtypes, batches, threads)
    if (count := prod(map(len, fields))) > _MOST_TARGETS:
        raise InputError(
            f"{count:,} combinations are too many; expected at most {_MOST_TARGETS}, since each runs in its "
            "own process"
        )
    named = [place.partition("@") for place in places]
    return tuple(
        Target(device=device, backend=name, dtype=dtype, batch=batch, threads=many)
        for (name, _, device), dtype, batch, many in product(named, dtypes, batches, threads)
    )


def threads_of(number: int) -> str:
    """Return "1 thread", "4 threads"."""
    return "1 thread" if number == 1 else f"{number} threads"


def labels(targets: Iterable[Target], *, with_backend: bool = False) -> dict[Target, str]:
    """Label targets by the fields that differ, or else by backend and device.

    with_backend: always begin with the backend and device.
    """
    known = list(dict.fromkeys(targets))
    differing = {field for field in FIELDS if len({getattr(target, field) for target in known}) > 1}
    shown = differing | {"backend"} if with_backend or not differing else differing
    return {target: _label(target, shown) for target in known}


def shared_settings(targets: Iterable[Target]) -> str:
    """Return the settings that all targets share: "fp32, batch 1, 1 thread"."""
    known = list(dict.fromkeys(targets))
    common = [field for field in FIELDS[2:] if len({getattr(target, field) for target in known}) == 1]
    named = [named_field(known[0], field) for field in common]
    places = {target.place for target in known}
    return ", ".join([*(places if len(places) == 1 and len(known) > 1 else ()), *named])


def named_field(target: Target, field: str) -> str:
    """Return a field's value as text: "int8", "batch 4", "pi"."""
    return {
        "device": target.device or "the run's own machine",
        "backend": target.backend,
        "place": target.place,
        "dtype": target.dtype,
        "batch": f"batch {target.batch}",
        "threads": threads_of(target.threads),
    }[field]


def paired(old: Collection[Target], new: Collection[Target]) -> Pairing:
    """Pair each new target with the old one to compare it with.

    Paired targets are equal, except in the compared fields (see `compared_fields`).
    """
    differing = compared_fields([old, new])
    before = {key_of(target, differing): target for target in old}
    pairs = {target: before.get(key_of(target, differing)) for target in new}
    return Pairing({target: other for target, other in pairs.items() if other is not None}, differing)


def compared_fields(groups: Iterable[Collection[Target]]) -> tuple[str, ...]:
    """Return the fields with one value in each group, but not the same in all."""
    known = [group for group in groups if group]
    values = {field: [{getattr(target, field) for target in group} for group in known] for field in FIELDS}
    return tuple(
        field
        for field, known in values.items()
        if all(len(one) == 1 for one in known) and len(set[object]().union(*known)) > 1
    )


def key_of(target: Target, differing: Collection[str]) -> tuple[object, ...]:
    """Return the values of the other fields, a key that joins targets of groups."""
    return tuple(getattr(target, field) for field in FIELDS if field not in differing)


def _label(target: Target, fields: Collection[str]) -> str:
    place = [target.place] if {"backend", "device"} & {*fields} else []
    return ", ".join([*place, *(named_field(target, field) for field in FIELDS[2:] if field in fields)])
