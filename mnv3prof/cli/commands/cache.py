"""`mnv3prof cache`: the converted parts that are kept between runs."""

from typing import Annotated

import typer

from ...bench.cache import MOST_BYTES, clear, contents, default_folder
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
    found = (clear if clear_it else contents)(default_folder())
    columns = (
        Column("folder", "Folder", "text"),
        Column("entries", "Entries"),
        Column("bytes", "Size", "bytes"),
    )
    title = "Removed from the cache" if clear_it else "The cache of converted parts"
    limit = f"What was used least recently leaves beyond {MOST_BYTES // 2**30} GiB"
    note = f"{limit}; MNV3PROF_CACHE names another folder."
    sheet = Sheet(title, columns, ((found.folder, found.entries, found.bytes),), notes=(note,))
    emit(Result((sheet,), sheet, lambda: found), output)
