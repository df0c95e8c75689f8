"""From a table to its PyTorch module, and from the module to the parts that are timed one by one."""

from collections.abc import Iterator

from torch import nn

from ..graph.errors import require
from .modules import MobileNetV3
from .table import CLASSIFIER, HEAD, STEM, Table, row_names


def build(table: Table) -> MobileNetV3:
    """The network of `table`, in training mode, seeded by torch's global generator.

    What is built is what expand() lists: the same module paths, shapes and parameters. The keys of
    Large's and Small's state_dict are torchvision's.
    """
    require(table, Table, "build", "what mnv3prof.read_table returns")
    return MobileNetV3(table)


def parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    """(name, module) of each block of expand(), which feed one another: stem, rows, head and classifier.

    The head ends in pooling and flatten, so that the parts compose to the whole network. Each part is
    in the model's mode, training or not.
    """
    require(model, MobileNetV3, "parts", "what mnv3prof.build returns")
    return _parts(model)


def _parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    stem, *blocks, last = model.features
    yield STEM, stem
    yield from zip(row_names(model.table), blocks, strict=True)
    yield HEAD, nn.Sequential(last, model.avgpool, nn.Flatten(1)).train(model.training)
    yield CLASSIFIER, model.classifier
