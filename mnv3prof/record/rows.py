"""The latencies of blocks and networks of a design space, and estimates that are made from them."""

from typing import Annotated, Any, Final

import msgspec

from ..graph.errors import InputError, quote
from .read import MAX_RUN_BYTES, MAX_VALUES
from .run import HERE, Host
from .target import Target
from .timing import Seconds, Timing

FORM: Final = 1
"""Incremented when a field changes its name or meaning, not when fields are added."""

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Chosen = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class RowTable(msgspec.Struct, frozen=True, kw_only=True):
    """Timings of blocks and of whole networks of a space.

    rows_form: FORM. space: its name; digest: of its definition. count, nets, seed: what was chosen to be
    measured. hosts: machines by device. timings: variant is the number of a network of the space that has
    the block, part the block in it, or NET.
    """

    rows_form: int
    created: str
    command: str
    commit: str = ""
    space: str
    digest: str
    count: _Chosen
    nets: _Chosen
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    hosts: dict[str, Host]
    timings: tuple[Timing, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of the timings, in order."""
        return tuple(dict.fromkeys(timing.target for timing in self.timings))


class HeldOut(msgspec.Struct, frozen=True):
    """Errors of predictions of times that were not fitted: |predicted / measured - 1|.

    count: of the times. within_5, within_10: shares with an error of at most 5 % and 10 %.
    """

    count: int
    median: float
    p90: float
    p95: float
    within_5: _Share
    within_10: _Share

    def sentence(self, what: str) -> str:
        """Return "±8 % for 9 of 10 networks held out (30 networks)". what: "networks" or "blocks"."""
        return f"±{percent(self.p90)} for 9 of 10 {what} held out ({self.count:,} {what})"


class BlockEstimate(msgspec.Struct, frozen=True):
    """The latency of a block. seconds: what it adds to its network. alone_s: of the block by itself.

    measured: True if alone_s was measured, False if it is predicted.
    """

    block: str
    seconds: Seconds
    alone_s: Seconds
    measured: bool


class Estimate(msgspec.Struct, frozen=True):
    """The latency of a network on a target, with the errors of such estimates.

    clock: "wall", or "CPU" if other processes disturbed the wall times of the table: CPU times of the
    quickest bursts. with_trees: False if scikit-learn is missing, so that blocks are predicted by a linear
    model alone.
    """

    target: Target
    seconds: Seconds
    blocks: tuple[BlockEstimate, ...]
    networks_held_out: HeldOut
    blocks_held_out: HeldOut
    clock: str
    with_trees: bool


def percent(share: float) -> str:
    """Write a share: "8 %", "0.7 %"."""
    value = 100 * share
    return f"{value:.1f} %" if value < 9.95 else f"{value:.0f} %"


class _Head(msgspec.Struct):
    rows_form: msgspec.Raw = msgspec.Raw()


def encoded_rows(table: RowTable) -> str:
    """Return the table as JSON."""
    return msgspec.json.encode(table).decode() + "\n"


def read_rows(data: bytes, where: str) -> RowTable:
    """Read the document of encoded_rows(). Raises InputError about `where`."""
    expected = "expected what `mnv3prof measure-rows` writes"
    if len(data) > MAX_RUN_BYTES:
        raise InputError(f"{where}: is too large; expected at most {MAX_RUN_BYTES:,} bytes")
    if (values := data.count(b",")) > MAX_VALUES:
        raise InputError(f"{where}: has about {values:,} values; expected at most {MAX_VALUES:,}")
    form = bytes(_decoded(data, _Head, where).rows_form)
    if not form:
        raise InputError(f"{where}: holds no measured rows; {expected}")
    if form != str(FORM).encode():
        other = quote(form.decode("utf-8", "replace")).strip("'")
        raise InputError(f"{where}: has rows of form {other}; this version reads {FORM}")
    table: RowTable = _decoded(data, RowTable, where)
    for device in {HERE, *(timing.target.device for timing in table.timings)}:
        if device not in table.hosts:
            raise InputError(f"{where}: has the device {quote(device)}, which is not in hosts")
    return table


def _decoded(data: bytes, kind: Any, where: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: is damaged: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError) as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from None
