"""`mnv3prof cache`: show or clear the conversion cache."""

from typing import Annotated

from msgspec.structs import replace

from ...graph.errors import InputError
from ...render.sheet import Column, Sheet
from ...workers.cache import MOST_BYTES, clear, contents, default_folder
from ..interrupts import stopping
from ..options import measuring_option
from ..output import Output, Result, emit
from ..progress import step
from ..spread import spread


@spread
def cache(
    *,
    clear_it: Annotated[bool, measuring_option("--clear", help="Remove every entry.")] = False,
    output: Output,
) -> None:
    """Show or clear the conversion cache.

    Its folder is that of the environment variable MNV3PROF_CACHE, by default the user's cache folder.

    Example: mnv3prof cache --clear
    """
    folder = default_folder()
    with stopping(lambda: _what_is_left(clear_it)), step(f"{'clearing' if clear_it else 'reading'} {folder}"):
        shown, left = clear(folder) if clear_it else (contents(folder), None)
    if left:
        shown = replace(shown, entries=shown.entries - left.entries, bytes=shown.bytes - left.bytes)
    columns = (
        Column("folder", "Folder", "text"),
        Column("entries", "Entries"),
        Column("bytes", "Size", "bytes"),
    )
    title = "Removed from the conversion cache" if clear_it else "Conversion cache"
    note = (
        f"Above {MOST_BYTES // 2**30} GiB the least recently used entries are removed. "
        "MNV3PROF_CACHE sets another folder."
    )
    sheet = Sheet(title, columns, ((folder, shown.entries, shown.bytes),), notes=(note,))
    emit(Result((sheet,), sheet, lambda: shown), output)
    if left and (left.entries or left.bytes):
        raise InputError(
            f"{folder}: {left.entries:,} entries ({left.bytes:,} bytes) cannot be removed; expected a folder "
            "that this user may write"
        )


def _what_is_left(clear_it: bool) -> str:
    how = "a part of the entries is removed" if clear_it else "nothing is changed"
    return f"{how}; the same command starts again"
