"""The pieces that are timed, each with the activations that it really gets."""

from copy import copy
from math import ceil
from typing import Final, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..mobilenetv3.modules import MobileNetV3
from ..mobilenetv3.network import build, parts
from ..record.run import NET, Subject
from .formats import Part
from .weights import load_into

_SEED: Final = 0
_CALIBRATION_IMAGES: Final = 8


def make_parts(subject: Subject, batch: int = 1) -> dict[str, Part]:
    """The network and each of its blocks, by name. Raises InputError where its weights do not fit."""
    whole = make_network(subject, batch)
    return {**block_parts(whole), NET: whole}


def make_network(subject: Subject, batch: int = 1) -> Part:
    """The whole network, the same in each process: trained weights, with the images that came with
    them, or else weights and images from a fixed seed.

    Batch norm of random weights takes the statistics of a few images, so that activations look like
    a trained network's: neither denormal nor beyond fp16. The input is among those that int8's ranges
    are fitted to: a range that is fitted to others cuts it off, most of all where few pixels are left.
    Raises InputError where the weights do not fit.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        model = build(subject.table)
        images = torch.randn(batch * ceil(_CALIBRATION_IMAGES / batch), *subject.graph.inputs[0].shape)
        if subject.weights is None:
            _calibrate(model, images[:_CALIBRATION_IMAGES])
        elif (seen := load_into(model, subject.weights)) is not None:
            images = _as_many(seen, images)
        model.eval()
        image = images[:batch].clone()
        return Part(NET, model, image, model(image), images)


def block_parts(whole: Part) -> dict[str, Part]:
    """The blocks of the whole network, each with what the one before it hands on."""
    found = {}
    x, calibration = whole.given, whole.calibration
    with torch.no_grad():
        for name, module in parts(cast("MobileNetV3", whole.module)):
            found[name] = Part(name, module, x.clone(), module(x.clone()), calibration)
            x, calibration = found[name].expected, module(calibration.clone())
    return found


def inner_part(whole: Part, path: str) -> Part:
    """The module at `path` of the whole network, with what reaches it when the network runs.

    A module that works in place gets a copy that does not: it is called again and again on one input.
    """
    module = whole.module.get_submodule(path)
    with torch.no_grad():
        given, calibration = (_reaching(module, whole.module, x) for x in (whole.given, whole.calibration))
        if getattr(module, "inplace", False):
            module = copy(module)
            module.__dict__["inplace"] = False
        return Part(path, module, given, module(given), calibration)


class _Reached(Exception):  # noqa: N818 - a finding, not an error
    """The input of a module, when the network has got that far."""

    def __init__(self, given: Tensor) -> None:
        super().__init__()
        self.given = given


def _reaching(module: nn.Module, model: nn.Module, images: Tensor) -> Tensor:
    """The input that `module` is given while the model runs on `images`, which goes no further."""

    def catch(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        raise _Reached(inputs[0].clone())

    with module.register_forward_pre_hook(catch):
        try:
            model(images)
        except _Reached as reached:
            return reached.given
    raise ValueError("the network runs without that module")


def _calibrate(model: nn.Module, images: Tensor) -> None:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain average
    model.train()(images)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum


def _as_many(seen: Tensor, images: Tensor) -> Tensor:
    """`seen`, resized and repeated to the shape of `images`."""
    sized = F.interpolate(seen, images.shape[2:], mode="bilinear", align_corners=False)
    return sized[torch.arange(len(images)) % len(sized)]
