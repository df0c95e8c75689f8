"""The pieces that are timed, each with the activations that it really gets."""

from typing import Final

import torch
from torch import Tensor, nn

from ..arch.layers import Graph
from ..model.network import build, parts
from ..record.run import NET
from .backends import Part

_SEED: Final = 0
_CALIBRATION_IMAGES: Final = 8


def make_parts(graph: Graph, batch: int = 1) -> dict[str, Part]:
    """Every part by name, weights and image from a fixed seed, so that each process makes the same.

    Batch norm takes the statistics of a few random images, so that activations look like a trained
    network's: neither denormal nor beyond fp16.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        model = build(graph.table)
        _calibrate(model, torch.randn(_CALIBRATION_IMAGES, *graph.image))
        x = image = torch.randn(batch, *graph.image)
        made = {}
        for name, module in parts(model):
            made[name] = Part(name, module, x.clone(), module(x.clone()))
            x = made[name].expected
        made[NET] = Part(NET, model, image, x)
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
