"""Spaces on the command line, and their costs from the cache."""

from pathlib import Path
from typing import Final

from ..bench.progress import Progress
from ..cost.counts import Dtype
from ..graph.errors import InputError, printable, suggestion
from ..mobilenetv3.files import PRESET_ALIASES
from ..mobilenetv3.files import PRESETS as NETWORKS
from ..source import Source
from ..space.costs import ContextTable
from ..space.files import SPACES, is_space, open_space
from ..space.space import Space
from ..space.tables import tables_of
from .options import open_source
from .progress import progress
from .streams import say

SPACE_HELP: Final = f"A space: {', '.join(SPACES)}, or a file (.toml)."


def opened_space(text: str) -> Space | Source:
    """Return the space that a text names, or the source of another kind. Raises InputError."""
    if is_space(text):
        return open_space(text)
    if text not in (*NETWORKS, *PRESET_ALIASES, "-") and text.isidentifier() and not Path(text).exists():
        raise InputError(
            f"{printable(text)}: no such space or preset; {suggestion(text, (*SPACES, *NETWORKS))}"
        )
    return open_source(text)


def costs_of_space(space: Space, dtype: Dtype, *, no_cache: bool = False) -> list[ContextTable]:
    """Return the costs of a space's contexts, and show progress while they are counted."""
    from ..workers.cache_folder import usable_folder

    folder = None if no_cache else usable_folder(say)
    with progress() as on_progress:

        def note(done: int, of: int) -> None:
            on_progress(
                Progress(f"combination {done + 1} of {of}", done / of, phase=f"counting {space.name}")
            )

        return tables_of(space, dtype, folder, note)
