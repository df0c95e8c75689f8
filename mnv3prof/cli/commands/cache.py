"""`mnv3prof cache`: the converted parts that are kept between runs."""

from typing import Annotated

import typer
from msgspec.structs import replace

from ...bench.cache import MOST_BYTES, clear, contents, default_folder
from ...graph.errors import InputError
from ...render.sheet import Column, Sheet
from ..output import Output, Result, emit
from ..spread import spread


@spread
def cache(
    *,
    clear_it: Annotated[bool, typer.Option("--clear", help="Remove every entry.")] = False,
    output: Output,
) -> None:
    """Tell where converted parts are kept, and how many bytes they take.

    Example: mnv3prof cache --clear
    """
    folder = default_folder()
    found, left = clear(folder) if clear_it else (contents(folder), None)
    removed = (
        replace(found, entries=found.entries - left.entries, bytes=found.bytes - left.bytes)
        if left
        else found
    )
    columns = (
        Column("folder", "Folder", "text"),
        Column("entries", "Entries"),
        Column("bytes", "Size", "bytes"),
    )
    title = "Removed from the cache" if clear_it else "The cache of converted parts"
    limit = f"What was used least recently leaves beyond {MOST_BYTES // 2**30} GiB"
    note = f"{limit}; MNV3PROF_CACHE names another folder."
    sheet = Sheet(title, columns, ((folder, removed.entries, removed.bytes),), notes=(note,))
    emit(Result((sheet,), sheet, lambda: removed), output)
    if left and (left.entries or left.bytes):
        raise InputError(
            f"{folder}: {left.entries:,} entries, {left.bytes:,} bytes in all, cannot be removed; expected a "
            "cache that this user may write"
        )
