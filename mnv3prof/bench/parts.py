"""The pieces that are timed, each with the activations that it really gets."""

from math import ceil
from typing import Final

import torch
from torch import Tensor, nn

from ..arch.layers import Graph
from ..model.network import build, parts
from ..record.run import NET
from .formats import Part

_SEED: Final = 0
_CALIBRATION_IMAGES: Final = 8


def make_parts(graph: Graph, batch: int = 1) -> dict[str, Part]:
    """Every part by name, weights and image from a fixed seed, so that each process makes the same.

    Batch norm takes the statistics of a few random images, so that activations look like a trained
    network's: neither denormal nor beyond fp16. The input is among those that int8's ranges are
    fitted to: a range that is fitted to others cuts it off, most of all where few pixels are left.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        model = build(graph.table)
        images = torch.randn(batch * ceil(_CALIBRATION_IMAGES / batch), *graph.image)
        _calibrate(model, images[:_CALIBRATION_IMAGES])
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
    model.eval()
