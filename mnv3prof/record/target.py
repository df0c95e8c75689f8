"""What was timed how: the device, backend, dtype, batch and threads of a timing, and which of them differ."""

from collections.abc import Collection, Iterable
from typing import Annotated, Final, NamedTuple

import msgspec

from ..cost.counts import Dtype

MOST: Final = 1_024
"""So many images a call has, or threads a runtime, at most."""

Positive = Annotated[int, msgspec.Meta(ge=1, le=MOST)]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a timing was taken on. device: "" is the machine that the run was made on.

    batch: images per call. threads: of the runtime.
    """

    device: str = ""
    backend: str
    dtype: Dtype = "fp32"
    batch: Positive = 1
    threads: Positive = 1

    @property
    def place(self) -> str:
        """Its backend and, of another machine, the device: "litert", "litert@pi"."""
        return f"{self.backend}@{self.device}" if self.device else self.backend

    @property
    def settings(self) -> str:
        """All but the place, e.g. "int8, batch 1, 4 threads"."""
        return ", ".join((self.dtype, f"batch {self.batch}", threads_of(self.threads)))


FIELDS: Final = ("device", "backend", "dtype", "batch", "threads")


class Pairing(NamedTuple):
    """Which targets are compared. pairs: the old target by the new one. differing: the fields in which
    the two of each pair differ.
    """

    pairs: dict[Target, Target]
    differing: tuple[str, ...]


def threads_of(number: int) -> str:
    """Return "1 thread", "4 threads"."""
    return "1 thread" if number == 1 else f"{number} threads"


def labels(targets: Iterable[Target], *, with_backend: bool = False) -> dict[Target, str]:
    """Label each target by the fields that differ among them; without any by its backend and device.

    with_backend: put the backend and device first, whatever differs.
    """
    known = list(dict.fromkeys(targets))
    differing = {field for field in FIELDS if len({getattr(target, field) for target in known}) > 1}
    shown = differing | {"backend"} if with_backend or not differing else differing
    return {target: _label(target, shown) for target in known}


def shared_settings(targets: Iterable[Target]) -> str:
    """Name what `labels` leaves out, since all targets have it in common: "fp32, batch 1, 1 thread"."""
    known = list(dict.fromkeys(targets))
    alone = [field for field in FIELDS[2:] if len({getattr(target, field) for target in known}) == 1]
    named = [_label(known[0], {field}) for field in alone] if known else []
    places = {target.place for target in known}
    return ", ".join([*(places if len(places) == 1 and len(known) > 1 else ()), *named])


def named_field(target: Target, field: str) -> str:
    """Say what a field holds: "int8", "batch 4", "pi"."""
    return {
        "device": target.device or "the run's own machine", "backend": target.backend, "dtype": target.dtype,
        "batch": f"batch {target.batch}", "threads": threads_of(target.threads),
    }[field]  # fmt: skip


def paired(old: Collection[Target], new: Collection[Target]) -> Pairing:
    """Pair each new target with the old one that it is compared with.

    That is the same target; but a field in which all old targets agree, and all new ones, on different
    values is what is being compared, so the pairs differ in it.
    """
    differing = compared_fields([old, new])
    before = {key_of(target, differing): target for target in old}
    found = {target: before.get(key_of(target, differing)) for target in new}
    return Pairing({target: other for target, other in found.items() if other is not None}, differing)


def compared_fields(groups: Iterable[Collection[Target]]) -> tuple[str, ...]:
    """Return the fields in which each group of targets agrees, but not all groups on one value."""
    known = [group for group in groups if group]
    values = {field: [{getattr(target, field) for target in group} for group in known] for field in FIELDS}
    return tuple(
        field
        for field, found in values.items()
        if all(len(one) == 1 for one in found) and len(set[object]().union(*found)) > 1
    )


def key_of(target: Target, differing: Collection[str]) -> tuple[object, ...]:
    """Return the fields of the target that do not differ, by which targets of several groups are joined."""
    return tuple(getattr(target, field) for field in FIELDS if field not in differing)


def _label(target: Target, fields: Collection[str]) -> str:
    place = [target.place] if {"backend", "device"} & {*fields} else []
    return ", ".join([*place, *(named_field(target, field) for field in FIELDS[2:] if field in fields)])
