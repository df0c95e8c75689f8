"""Module paths of a table's layers, by the release whose names they are."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final, Literal, NamedTuple

from .fields import Names
from .stages import ActivationStage, ConvStage, LinearStage, SqueezeStage, Stage, last_stages
from .table import Table, strides

ROOT: Final = ""
FLATTEN: Final = "flatten"
"""Name of the function in the network's forward()."""
_TIMM_CONVS: Final = {
    "expand": "conv_pw",
    "fused": "conv_exp",
    "depthwise": "conv_dw",
    "project": "conv_pwl",
    "standard": "conv",
}


class Slots(NamedTuple):
    """Paths of a stage's modules. conv: of squeeze-excite too; activation: of an activation by itself too.

    call: path of the module whose call runs them, ROOT for the network.
    """

    call: str
    conv: str = ""
    norm: str = ""
    activation: str = ""
    pad: str = ""


class SqueezeNames(NamedTuple):
    """Names of the modules of squeeze-excite."""

    reduce: str
    activation: str
    expand: str
    gate: str


SQUEEZE_NAMES: Final[dict[Names, SqueezeNames]] = {
    "torchvision": SqueezeNames("fc1", "activation", "fc2", "scale_activation"),
    "torchvision-v2": SqueezeNames("fc1", "activation", "fc2", "scale_activation"),
    "timm": SqueezeNames("conv_reduce", "act1", "conv_expand", "gate"),
}


def pool_path(names: Names) -> str:
    """Return the path of the pool."""
    return "global_pool" if names == "timm" else "avgpool"


def row_paths(table: Table) -> Iterator[str]:
    """Yield the path of each row's block."""
    if table.names != "timm":
        yield from (f"features.{n}" for n in range(1, len(table.rows) + 1))
        return
    for stage, rows in enumerate(stage_sizes(table)):
        yield from (f"blocks.{stage}.{n}" for n in range(rows))


def stage_sizes(table: Table) -> tuple[int, ...]:
    """Return the number of rows of each stage."""
    if table.stages:
        return table.stages
    counts: list[int] = []
    out = None
    for row in table.rows:
        if counts and row.out == out and strides(row.stride) == (1, 1):
            counts[-1] += 1
        else:
            counts.append(1)
        out = row.out
    return tuple(counts)


def row_slots(names: Names, path: str, stages: Sequence[Stage]) -> list[Slots]:
    """Return the paths of the stages of the row at `path`."""
    if names == "timm":
        return list(_timm_slots(path, stages))
    body = f"{path}.{'conv' if names == 'torchvision-v2' else 'block'}"
    numbers = count()
    return [_torchvision_slots(body, numbers, stage, names) for stage in stages]


def _torchvision_slots(body: str, numbers: Iterator[int], stage: Stage, names: Names) -> Slots:
    if isinstance(stage, SqueezeStage):
        at = f"{body}.{next(numbers)}"
        return Slots(at, conv=at)
    if isinstance(stage, ActivationStage):
        return Slots(body, activation=f"{body}.{next(numbers)}")
    if names == "torchvision-v2" and stage.role in ("project", "standard"):  # directly in the block
        return _numbered(body, numbers, stage)
    return _numbered(f"{body}.{next(numbers)}", count(), stage)


def _numbered(call: str, numbers: Iterator[int], stage: ConvStage | LinearStage) -> Slots:
    """Number the modules that there are: convolution or linear layer, batch norm, activation."""
    conv = f"{call}.{next(numbers)}"
    norm = f"{call}.{next(numbers)}" if stage.norm else ""
    activation = f"{call}.{next(numbers)}" if stage.activation else ""
    return Slots(call, conv, norm, activation, f"{call}.pad")


def _timm_slots(path: str, stages: Sequence[Stage]) -> Iterator[Slots]:
    norms, activations = count(1), count(1)
    first = stages[0]
    for stage in stages:
        if isinstance(stage, SqueezeStage):
            yield Slots(f"{path}.se", conv=f"{path}.se")
        elif isinstance(stage, ActivationStage):
            yield Slots(path, activation=f"{path}.act{next(activations)}")
        else:
            conv = _TIMM_CONVS[stage.role]
            if stage.role == "project" and isinstance(first, ConvStage):
                conv = {"project": "conv", "depthwise": "conv_pw"}.get(first.role, conv)
            yield _flat(path, conv, stage, norms, activations)


def _flat(
    path: str, conv: str, stage: ConvStage | LinearStage, norms: Iterator[int], activations: Iterator[int]
) -> Slots:
    """Name a stage's modules as children of the module at `path`."""
    inside = f"{path}." if path else ""
    norm = f"{inside}bn{next(norms)}" if stage.norm else ""
    activation = f"{inside}act{next(activations)}" if stage.activation else ""
    return Slots(path, f"{inside}{conv}", norm, activation, f"{inside}{conv}_pad")


def stem_slots(table: Table, stage: ConvStage) -> Slots:
    """Return the paths of the first convolution."""
    if table.names == "timm":
        return _flat(ROOT, "conv_stem", stage, count(1), count(1))
    return _numbered("features.0", count(), stage)


def head_slots(table: Table, stages: Sequence[ConvStage]) -> list[Slots]:
    """Return the paths of the convolutions before the pool."""
    if table.names != "timm":
        return [
            _numbered(f"features.{number}", count(), stage)
            for number, stage in enumerate(stages, len(table.rows) + 1)
        ]
    # timm has one convolution called conv_head: behind the pool, or else the last one before it.
    inner = len(stages) if hidden_is_timms_head(table) else len(stages) - 1
    last = len(stage_sizes(table))
    slots = [
        _flat(f"blocks.{last}.{n}", "conv", stage, count(1), count(1))
        for n, stage in enumerate(stages[:inner])
    ]
    return [*slots, *(_flat(ROOT, "conv_head", stage, count(2), count(2)) for stage in stages[inner:])]


def hidden_is_timms_head(table: Table) -> bool:
    """Return True if the layer called conv_head in timm is behind the pool."""
    return bool(table.classes) and table.last != ()


class Step(NamedTuple):
    """A step after the convolutions of the head: a pool, flatten, dropout, or a layer.

    path: of the module; "" for flatten where it is a function of the network's forward().
    """

    kind: Literal["pool", "flatten", "dropout", "layer"]
    path: str = ""
    stage: ConvStage | LinearStage | None = None
    slots: Slots = Slots(ROOT)


def tail_steps(table: Table) -> list[Step]:
    """Return the steps from the pool to the classes; none without classes."""
    stages = list(last_stages(table))
    if not stages:
        return []
    steps = [Step("pool", pool_path(table.names))]
    flat = False
    numbers = count()
    for n, stage in enumerate(stages):
        if isinstance(stage, LinearStage) and not flat:
            steps.append(_flatten(table, numbers, first=n == 0))
            flat = True
        is_last = n == len(stages) - 1
        if is_last:
            steps.append(Step("dropout", "drop" if table.names == "timm" else f"classifier.{next(numbers)}"))
        if table.names == "timm":
            slots = _flat(ROOT, "classifier" if is_last else "conv_head", stage, count(2), count(2))
        else:
            slots = _numbered("classifier", numbers, stage)
        steps.append(Step("layer", stage=stage, slots=slots))
    return steps if flat else [*steps, _flatten(table, numbers, first=False)]


def _flatten(table: Table, numbers: Iterator[int], *, first: bool) -> Step:
    """first: directly after the pool, where torchvision has a function."""
    return Step("flatten", "" if first or table.names == "timm" else f"classifier.{next(numbers)}")
