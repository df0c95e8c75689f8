"""Sheets of `fit` and `spaces`: the largest networks within budgets, and how many fit."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..budgets.choosing import ARENA, Fit
from ..budgets.figures import LATENCY
from ..budgets.limits import Budget
from ..record.rows import percent
from ..render.sheet import Column, Sheet, join_words
from ..space.counting import SAMPLE, Within
from ..space.space import Context, Space
from .estimates import SELECTED

_FIGURES: Final = (
    Column("macs", "MACs"),
    Column("params", "Params"),
    Column("weights", "Weights", "bytes", importance=2),
    Column("peak.fused", "Fused peak", "bytes", importance=3),
    Column("arena", "Arena", "bytes", importance=1),
    Column("flops", "FLOPs", importance=6),
    Column("read", "Read", "bytes", importance=7),
    Column("written", "Written", "bytes", importance=8),
)
_WORDS: Final = {
    "macs": "MACs",
    "flops": "FLOPs",
    "params": "parameters",
    "weights": "bytes of weights",
    "read": "bytes read",
    "written": "bytes written",
}
LARGEST: Final = "Largest is by {what}. What accuracy a network reaches is not known; only training shows it."
_NOT_THE_NEXT: Final = "The others are large networks, and not necessarily the next ones."
_EQUAL: Final = "Others may be within the budgets too: those that were found are equal to this one."
_PUBLISHED: Final = "Top-1 on ImageNet as published for this width and input; – is not published."

_ARENA: Final = (
    "The arena is limited by the fused peak, which is at most the arena: some of these networks may not fit."
)
_SAMPLED: Final = (
    f"Where ± is not 0, the networks are too many to count, and the share is that of {SAMPLE:,} random ones, "
    "with its 95 % interval."
)
_MEAN: Final = (
    "Of spaces that fit, the one with the higher mean MACs is the better start (Lin et al., MCUNet, arXiv "
    "2007.10319): MACs stand for capacity within one family."
)


def fit_sheet(fit: Fit) -> Sheet:
    """Return the largest networks, and what is proven of them."""
    published = any(found.top1 is not None for found in fit.networks)
    columns = (
        Column("network", "Network", "text"),
        Column("width", "Width", "number", importance=5),
        Column("input", "Input", "shape", importance=4),
        *_FIGURES,
        *(Column(name, f"{_backend(name)}, ms", "figure") for name in fit.held_out),
        *([Column("top1", "Top-1, %", "number")] if published else []),
    )
    rows = tuple(
        (
            found.source,
            found.width,
            found.subject.input,
            *(found.figures.get(column.key) for column in _FIGURES),
            *(
                f"{1e3 * found.estimates[name]:.3f} ±{percent(errors.p90)}"
                for name, errors in fit.held_out.items()
            ),
            *([found.top1] if published else []),
        )
        for found in fit.networks
    )
    notes = (
        what_is_proven(fit),
        *([] if fit.complete else [_NOT_THE_NEXT if len(fit.networks) > 1 else _EQUAL]),
        *(f"Left out: {each}." for each in fit.left_out),
        LARGEST.format(what=_WORDS[fit.maximize]),
        *_estimated(fit),
    )
    title = f"{fit.name}: largest{_budgets(fit.budgets)} ({fit.dtype})"
    return Sheet(title, columns, rows, notes=(*notes, *([_PUBLISHED] if published else [])))


def _backend(name: str) -> str:
    return name.removeprefix(LATENCY)


def _estimated(fit: Fit) -> Iterator[str]:
    """Say how certain latencies are."""
    for name, errors in fit.held_out.items():
        yield f"{_backend(name)}: estimated, not measured: {errors.sentence('networks')}."
    if fit.held_out:
        yield SELECTED


def what_is_proven(fit: Fit) -> str:
    """Say whether a larger network can exist."""
    what, size = _WORDS[fit.maximize], f"{fit.size:,} networks of {fit.name}"
    if fit.bound is None:
        return f"None of the {size} is within the budgets."
    if not fit.networks:
        return f"None of the {size} was found within the budgets; that there is none is not proven."
    if fit.proven:
        estimated = ", as estimated," if fit.held_out else ""
        return f"Proven: none of the {size} within the budgets{estimated} has more {what} than the first."
    gap = f"{fit.gap:.3%}" if fit.gap >= 0.00001 else "less than 0.001%"
    return (
        f"Proven: none of the {size} within the budgets has more than {fit.bound:,} {what}. The first has "
        f"{gap} less; whether one lies between is not known."
    )


def spaces_sheet(
    space: Space, budgets: Sequence[Budget], counted: Sequence[tuple[Context, Within]], *, whole: bool = False
) -> Sheet:
    """Return how many networks of each width and input fit, and their mean MACs.

    whole: also of those at which none fits.
    """
    keys = _chosen_keys([context for context, _ in counted])
    sampled = any(each.error for _, each in counted)
    columns = (
        Column("width", "Width", "number"),
        Column("input", "Input", "shape"),
        *(Column(key, key.capitalize(), "text") for key in keys),
        Column("networks", "Networks", importance=2),
        Column("fit", "Fit", importance=1),
        Column("share", "Share", "share"),
        *([Column("error", "±", "share")] if sampled else []),
        Column("mean_macs", "Mean MACs", "number"),
    )
    rows = tuple(
        (
            context.width,
            context.input,
            *(_outer(dict(context.outer)[key]) for key in keys),
            each.networks,
            each.fit,
            each.share,
            *([each.error] if sampled else []),
            None if each.mean is None else float(each.mean),
        )
        for context, each in counted
        if whole or each.fit or each.error
    )
    notes = [
        _how_many(space, [each for _, each in counted]),
        *([_SAMPLED] if sampled else []),
        *([_ARENA] if rows and any(each.name == ARENA for each in budgets) else []),
        *([_MEAN] if len(rows) > 1 else []),
    ]
    return Sheet(f"{space.name}: networks{_budgets(budgets)}", columns, rows, notes=tuple(notes))


def _how_many(space: Space, counted: Sequence[Within]) -> str:
    fit, without = sum(each.fit for each in counted), sum(not each.fit and not each.error for each in counted)
    about = "About " if any(each.error for each in counted) else ""
    none = f"; at {without} of {len(counted)} {_combined(space)} none" if without else ""
    return f"{about}{fit:,} of the {space.size:,} networks of {space.name} fit{none}."


def _chosen_keys(contexts: Sequence[Context]) -> list[str]:
    """Return which of head, last and classes have choices."""
    return [key for key, _ in contexts[0].outer if len({dict(each.outer)[key] for each in contexts}) > 1]


def _combined(space: Space) -> str:
    """Return what a row is: "combinations of width, input and classes"."""
    keys = _chosen_keys(space.contexts)
    return f"combinations of {join_words(['width', 'input', *keys])}"


def _outer(value: Any) -> str:
    """Return the choice of head, last or classes: a number, or the widths of layers."""
    if isinstance(value, int):
        return str(value)
    return ", ".join(str(getattr(each, "out", each)) for each in value) or "none"


def _budgets(budgets: Sequence[Budget]) -> str:
    within = ", ".join(f"{each.name} ≤ {each.written}" for each in budgets)
    return f" within {within}" if within else ""
