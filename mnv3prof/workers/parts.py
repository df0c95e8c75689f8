"""The parts of a layer table's network to time, each with its input in the network."""

from copy import copy
from math import ceil
from typing import Final, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..graph.parts import BACKBONE, NET
from ..mobilenetv3.network import MobileNetV3, build, parts
from ..record.run import Subject
from .formats import Part, computed
from .weights import load_into

_SEED: Final = 0
_CALIBRATION_IMAGES: Final = 8


class TableParts:
    """The network of a layer table, and its parts. Raises InputError."""

    def __init__(self, subject: Subject, batch: int) -> None:
        self.graph = subject.graph
        self.made = {NET: make_network(subject, batch)}

    def part(self, name: str) -> Part:
        """Return the network, its backbone, a block, or a module, with its input in the network."""
        if name not in self.made:
            if self.graph.block(name) or name == BACKBONE:
                self.made |= block_parts(self.made[NET])
            else:
                self.made[name] = inner_part(self.made[NET], name)
        return self.made[name]


def make_parts(subject: Subject, batch: int = 1) -> dict[str, Part]:
    """Return the whole network and its blocks, by name. Raises InputError."""
    whole = make_network(subject, batch)
    return {**block_parts(whole), NET: whole}


def make_network(subject: Subject, batch: int = 1) -> Part:
    """Return the whole network, the same in each process.

    Weights and images are those of a checkpoint, or random with a fixed seed. With random weights, batch
    norm gets the statistics of a few images, so that activations are like a trained network's: neither
    denormal nor beyond fp16. The input is one of the calibration images, since int8 ranges of other images
    clip it, most of all in layers of few pixels. Raises InputError if the weights do not fit.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        model = build(subject.table)
        images = torch.randn(batch * ceil(_CALIBRATION_IMAGES / batch), *subject.graph.inputs[0].shape)
        if subject.weights is None:
            _calibrate(model, images[:_CALIBRATION_IMAGES])
        elif (seen := load_into(model, subject.weights)) is not None:
            images = _resized(seen, images)
        model.eval()
        image = images[:batch].clone()
        return Part(NET, model, (image,), computed(model, (image,)), (images,))


def block_parts(whole: Part) -> dict[str, Part]:
    """Return the blocks and the backbone of the whole network, each with its input in the network."""
    blocks: dict[str, Part] = {}
    given, calibration = whole.given, whole.calibration
    for name, module in parts(cast("MobileNetV3", whole.module)):
        blocks[name] = Part(name, module, given, computed(module, given), calibration)
        given, calibration = blocks[name].expected, computed(module, calibration)
    *before, last = blocks.values()
    backbone = nn.Sequential(*(part.module for part in before)).eval()
    blocks[BACKBONE] = Part(BACKBONE, backbone, whole.given, last.given, whole.calibration)
    return blocks


def inner_part(whole: Part, path: str) -> Part:
    """Return the module at `path` of the whole network, with its input in the network.

    An in-place module is replaced by a copy that is not in place, since its input is used for many calls.
    """
    module = whole.module.get_submodule(path)
    with torch.no_grad():
        given, calibration = (_input_of(module, whole.module, x) for (x,) in (whole.given, whole.calibration))
    if getattr(module, "inplace", False):
        module = copy(module)
        module.__dict__["inplace"] = False
    return Part(path, module, (given,), computed(module, (given,)), (calibration,))


class _Reached(Exception):  # noqa: N818 - an expected result
    """Raised with the input of a module when the network reaches it."""

    def __init__(self, given: Tensor) -> None:
        super().__init__()
        self.given = given


def _input_of(module: nn.Module, model: nn.Module, images: Tensor) -> Tensor:
    """Run the model on `images` up to `module`, and return that module's input."""

    def catch(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        raise _Reached(inputs[0].clone())

    with module.register_forward_pre_hook(catch):
        try:
            model(images)
        except _Reached as reached:
            return reached.given
    raise ValueError("the network does not call this module")


def _calibrate(model: nn.Module, images: Tensor) -> None:
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # cumulative average
    model.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _resized(seen: Tensor, images: Tensor) -> Tensor:
    """Resize and repeat `seen` to the shape of `images`."""
    sized = F.interpolate(seen, images.shape[2:], mode="bilinear", align_corners=False)
    return sized[torch.arange(len(images)) % len(sized)]
