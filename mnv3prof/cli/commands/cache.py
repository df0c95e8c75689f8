"""`mnv3prof cache`: show or clear the conversion cache."""

from typing import Annotated, Final

from msgspec.structs import replace

from ...device.protocol import Cached, Clear, Held, Hold
from ...device.protocol import Kept as OnDevice
from ...device.store import MOST_BYTES as MOST_ON_DEVICE
from ...graph.errors import InputError
from ...render.sheet import Column, Sheet
from ...workers.cache import MOST_BYTES, Kept, clear, contents, default_folder
from ...workers.devices import device_of
from ...workers.links.remote import Device
from ...workers.remote import RemoteWorker
from ...workers.worker import Failed
from ..interrupts import stopping
from ..options import measuring_option
from ..output import Output, Result, emit
from ..progress import step
from ..spread import spread

_ANSWER_S: Final = 60.0


@spread
def cache(
    *,
    device: Annotated[
        str | None,
        measuring_option(
            "--device", metavar="NAME", help="That of another device.", show_default="this machine"
        ),
    ] = None,
    clear_it: Annotated[bool, measuring_option("--clear", help="Remove every entry.")] = False,
    output: Output,
) -> None:
    """Show or clear the conversion cache, or the files that another device keeps.

    Its folder is that of the environment variable MNV3PROF_CACHE, by default the user's cache folder. On
    another device it is that of MNV3PROF_DEVICE_CACHE, by default ~/.cache/mnv3prof-device.

    Example: mnv3prof cache --clear
    """
    if device is not None:
        _on(device_of(device), clear_it, output)
        return
    folder = default_folder()
    with stopping(lambda: _what_is_left(clear_it)), step(f"{'clearing' if clear_it else 'reading'} {folder}"):
        shown, left = clear(folder) if clear_it else (contents(folder), None)
    if left:
        shown = replace(shown, entries=shown.entries - left.entries, bytes=shown.bytes - left.bytes)
    note = (
        f"Above {MOST_BYTES // 2**30} GiB the least recently used entries are removed. "
        "MNV3PROF_CACHE sets another folder."
    )
    title = "Removed from the conversion cache" if clear_it else "Conversion cache"
    _emit(shown, title, note, output)
    if left and (left.entries or left.bytes):
        raise InputError(
            f"{folder}: {left.entries:,} entries ({left.bytes:,} bytes) cannot be removed; expected a folder "
            "that this user may write"
        )


def _on(device: Device, clear_it: bool, output: Output) -> None:
    """Show or clear the files of another device. Raises InputError if it does not answer."""
    request = Clear() if clear_it else Cached()
    what = "clearing" if clear_it else "reading"
    with (
        stopping(lambda: _what_is_left(clear_it)),
        step(f"{what} the files on {device.name}"),
        RemoteWorker(device.link) as worker,
    ):
        held = worker.ask(Hold(), Held, _ANSWER_S) if clear_it else None
        found = held if isinstance(held, Failed) else worker.ask(request, OnDevice, _ANSWER_S)
    if isinstance(found, Failed):
        raise InputError(f"--device {device.name}: {found.reason or found.status}")
    shown = Kept(found.folder, found.files, found.bytes)
    title = f"Removed from {device.name}" if clear_it else f"Files on {device.name}"
    note = (
        f"Above {MOST_ON_DEVICE // 2**30} GiB the least recently used files are removed. "
        "MNV3PROF_DEVICE_CACHE sets another folder there."
    )
    _emit(shown, title, note, output)


def _emit(shown: Kept, title: str, note: str, output: Output) -> None:
    columns = (
        Column("folder", "Folder", "text"),
        Column("entries", "Entries"),
        Column("bytes", "Size", "bytes"),
    )
    sheet = Sheet(title, columns, ((shown.folder, shown.entries, shown.bytes),), notes=(note,))
    emit(Result((sheet,), sheet, lambda: shown), output)


def _what_is_left(clear_it: bool) -> str:
    how = "a part of the entries is removed" if clear_it else "nothing is changed"
    return f"{how}; the same command starts again"
