"""Build a table's PyTorch module, and split it into the parts that are timed."""

from collections.abc import Iterator

import torch
from torch import nn

from ..graph.errors import require
from ..graph.parts import CLASSIFIER
from .modules import MobileNetV3
from .table import HEAD, STEM, Table, row_names


def build(table: Table) -> MobileNetV3:
    """Build the network of `table`, in training mode, initialised by torch's global generator.

    It has the module paths, shapes and parameters of expand(table). For Large and Small, the state_dict
    has torchvision's keys. Raises InputError for anything but a Table.

    >>> sum(p.numel() for p in mnv3prof.build(mnv3prof.read_table("large")).parameters())
    5483032
    """
    require(table, Table, "build", "what mnv3prof.read_table returns")
    return MobileNetV3(table)


def is_as_built(model: MobileNetV3) -> bool:
    """Return True if the module still has the layers of its table."""
    with torch.device("meta"):
        new = MobileNetV3(model.table)
    return type(model) is MobileNetV3 and _outline(model) == _outline(new)


def _outline(model: nn.Module) -> list[object]:
    modules = [(name, type(each), each.extra_repr()) for name, each in model.named_modules()]
    return [*modules, *((name, tuple(value.shape)) for name, value in model.state_dict().items())]


def parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    """Yield (name, module) of each block of expand(): stem, rows, head and classifier.

    The head includes pooling and flatten, so the parts compose to the whole network. Each part is in the
    model's mode, training or evaluation. Raises InputError for anything but what build() returns.

    >>> [name for name, _ in mnv3prof.parts(mnv3prof.build(mnv3prof.read_table("small")))][:3]
    ['stem', '1', '2']
    """
    require(model, MobileNetV3, "parts", "what mnv3prof.build returns")
    return _parts(model)


def _parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    stem, *blocks, last = model.features
    yield STEM, stem
    yield from zip(row_names(model.table), blocks, strict=True)
    yield HEAD, nn.Sequential(last, model.avgpool, nn.Flatten(1)).train(model.training)
    yield CLASSIFIER, model.classifier
