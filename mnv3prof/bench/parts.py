"""The pieces that are timed, each with the activations that it really gets."""

from math import ceil
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..arch.layers import Graph
from ..model.network import build, parts
from ..record.run import NET, Weights
from .formats import Part
from .weights import load_into

_SEED: Final = 0
_CALIBRATION_IMAGES: Final = 8


def make_parts(graph: Graph, batch: int = 1, weights: Weights | None = None) -> dict[str, Part]:
    """Every part by name, the same in each process: trained weights, with the images that came with
    them, or else weights and images from a fixed seed.

    Batch norm of random weights takes the statistics of a few images, so that activations look like
    a trained network's: neither denormal nor beyond fp16. The input is among those that int8's ranges
    are fitted to: a range that is fitted to others cuts it off, most of all where few pixels are left.
    Raises InputError where `weights` do not fit.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        model = build(graph.table)
        images = torch.randn(batch * ceil(_CALIBRATION_IMAGES / batch), *graph.image)
        if weights is None:
            _calibrate(model, images[:_CALIBRATION_IMAGES])
        elif (seen := load_into(model, weights)) is not None:
            images = _as_many(seen, images)
        model.eval()
        image = images[:batch].clone()
        made = {}
        x, calibration = image, images
        for name, module in parts(model):
            made[name] = Part(name, module, x.clone(), module(x.clone()), calibration)
            x, calibration = made[name].expected, module(calibration.clone())
        made[NET] = Part(NET, model, image, x, images)
    return made


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
