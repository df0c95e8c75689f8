"""The largest networks within budgets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..budgets.choosing import MOST_TOP, Fit, fit_space, fit_tables
from ..budgets.limits import budgets_from
from ..cost.counts import Dtype
from ..graph.errors import InputError, require
from ..mobilenetv3.files import PRESETS, preset
from ..source import open_source
from ..space.files import is_space, open_space
from ..space.tables import tables_of
from ..workers.backends import place_of
from ..workers.cache_folder import usable_folder
from .measuring import warn_of_cache
from .results import require_size


def fit(
    space: str | Path | None = None,
    budgets: Mapping[str, Any] | None = None,
    *,
    maximize: str = "macs",
    top: int = 1,
    dtype: Dtype = "fp32",
) -> Fit:
    """Return the largest networks within budgets.

    space: a preset ("ofa", "near-large", "near-small") or a file of a space, or a layer table, which is taken
        at several widths and inputs; by default all presets are.
    budgets: limits by name, e.g. {"params": "2M", "arena": "256KiB"}: macs, flops, params, weights, read,
        written, peak.fused, arena.
    maximize: macs, flops, params, weights, read or written.
    top: number of networks, at most 100.
    dtype: which bytes are for.

    The result has `networks`, the largest first, each with its `subject` and `figures`; `bound`, which none
    within the budgets exceeds; and `proven`. Raises InputError.

    >>> found = mnv3prof.fit(None, {"params": "2M", "macs": "60M"})
    >>> found.networks[0].source, found.proven
    ('mobilenetv2 --width 0.35 --input 224', True)
    """
    require(budgets or {}, Mapping, "fit", 'limits by name, e.g. {"macs": "220M"}')
    require_size(dtype, None)
    if type(top) is not int or not 1 <= top <= MOST_TOP:
        raise InputError(f"fit: top is {top!r}; expected an integer from 1 to {MOST_TOP}")
    wanted = budgets_from(budgets, "fit", place_of) if budgets else ()
    if space is None:
        tables = {name: preset(name) for name in PRESETS}
        return fit_tables(tables, wanted, maximize=maximize, top=top, dtype=dtype)
    require(space, (str, Path), "fit", "a preset or a file")
    text = str(space)
    if not is_space(text):
        alone = {text: open_source(text).subject.table}
        return fit_tables(alone, wanted, maximize=maximize, top=top, dtype=dtype)
    known = open_space(text)
    counted = tables_of(known, dtype, usable_folder(warn_of_cache))
    return fit_space(known, counted, wanted, maximize=maximize, top=top, dtype=dtype)
