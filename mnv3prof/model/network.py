"""From a table to its PyTorch module, and from the module to the parts that are timed one by one."""

from collections.abc import Iterator

from torch import nn

from ..arch.table import Table
from .blocks import MobileNetV3


def build(table: Table) -> MobileNetV3:
    """The network of `table`, in training mode, seeded by torch's global generator.

    What is built is what expand() lists: the same module paths, shapes and parameters. The keys of
    Large's and Small's state_dict are torchvision's.
    """
    return MobileNetV3(table)


def parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    """(name, module) of stem, "1", "2", ..., head and classifier, each feeding the next.

    The head ends in pooling and flatten, so that the parts compose to the whole network. Each part is
    in the model's mode, training or not.
    """
    stem, *blocks, last = model.features
    yield "stem", stem
    for number, block in enumerate(blocks, 1):
        yield str(number), block
    yield "head", nn.Sequential(last, model.avgpool, nn.Flatten(1)).train(model.training)
    yield "classifier", model.classifier
