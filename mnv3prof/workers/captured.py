"""The parts of a captured network to time: modules, and slices of its program."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..capture.module import lowered
from ..capture.reference import module_of
from ..capture.slices import Slicer
from ..device.runtimes import Unsupported
from ..graph.errors import InputError
from ..graph.graph import Block, Graph
from ..graph.parts import NET
from ..record.run import Captured, Subject
from .formats import Part

_SEED: Final = 0
_CALIBRATION: Final = 8
_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _built(captured: Captured) -> nn.Module:
    try:
        module: nn.Module = module_of(captured)
    except InputError as error:
        raise Unsupported(str(error)) from None
    return module.requires_grad_(False)


class CapturedParts:
    """A captured network with random weights from a fixed seed, and its parts.

    Batch norm without statistics gets those of a few inputs. Raises Unsupported for what cannot be timed.
    """

    def __init__(self, subject: Subject, batch: int) -> None:
        assert subject.captured is not None
        captured = subject.captured
        if len(subject.graph.inputs) > 1 or captured.dtypes[0] != "float32":
            raise Unsupported("a network with several inputs, or one that is not of floats, is not timed")
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(_SEED)
            module = _built(captured)
            given = torch.randn(max(batch, _CALIBRATION), *subject.graph.inputs[0].shape)
            _calibrate(module, given[:_CALIBRATION])
            module.eval()
            image = given[:batch].clone()
            self.net = _OneTensor(module)
            self.whole = Part(NET, self.net, image, self.net(image.clone()), image)
        self.subject = subject
        self._sliced: tuple[Graph, Mapping[str, str], Slicer] | None = None

    def part(self, name: str) -> Part:
        """Return the network, a block, or the module at a path, with its input in the network."""
        if name == NET:
            return self.whole
        if block := self.subject.graph.block(name):
            path = _module_of(self.subject.graph, block)
            return self._module(name, path) if path else self._slice(name)
        return self._module(name, name)

    def _module(self, name: str, path: str) -> Part:
        module = self.net.net.get_submodule(path)
        with torch.no_grad(), _Seen(module) as seen:
            self.net(self.whole.given.clone())
        if len(seen.calls) != 1:
            raise Unsupported(
                f"the network calls {path} {len(seen.calls)} times; a part of one call is timed"
            )
        given = seen.calls[0]
        if not isinstance(given, Tensor):
            raise Unsupported("it reads several tensors; a part with one is timed")
        if getattr(module, "inplace", False):
            module = copy(module)
            module.__dict__["inplace"] = False
        single = _OneTensor(module)
        with torch.no_grad():
            expected = single(given.clone())
        return Part(name, single, given, expected, given)

    def _slice(self, name: str) -> Part:
        graph, calls, slicer = self._program()
        block = graph.block(name)
        if block is None:
            raise Unsupported("the network has other blocks with values than without")
        given, result = ends(graph, block)
        module = slicer.module([calls[layer.name] for layer in block.layers], calls[given], calls[result])
        value = slicer.values(self.whole.given.clone(), [calls[given]])[calls[given]]
        with torch.no_grad():
            expected = module(value.clone())
        return Part(name, module, value, expected, value)

    def _program(self) -> tuple[Graph, Mapping[str, str], Slicer]:
        """Return the graph of the program with weights, its layers' nodes, and what divides it."""
        if self._sliced is None:
            found, program = lowered(self.net.net, [self.whole.given], self.subject.name)
            names = [layer.name for layer in found.graph.layers]
            calls = dict(zip(names, found.calls, strict=True))
            slicer = Slicer(program)
            inputs = zip((tensor.name for tensor in found.graph.inputs), slicer.users, strict=True)
            self._sliced = found.graph, {**calls, **dict(inputs)}, slicer
        return self._sliced


def _module_of(graph: Graph, block: Block) -> str:
    """Return the path of the module whose call is the block, "" if it is not one call."""
    for path in block.modules:
        if graph.under(path) == block.layers:
            return path
    return ""


def ends(graph: Graph, block: Block) -> tuple[str, str]:
    """Return the tensor that a block reads and the one that it hands on. Raises Unsupported for several."""
    inside = {layer.name for layer in block.layers}
    read = dict.fromkeys(name for layer in block.layers for name in layer.inputs if name not in inside)
    later = {name for layer in graph.layers if layer.name not in inside for name in layer.inputs}
    handed = [layer.name for layer in block.layers if layer.name in later or layer.name in graph.outputs]
    if len(read) != 1 or len(handed) != 1:
        raise Unsupported(
            f"it reads {len(read)} tensors and hands on {len(handed)}; a part with one is timed"
        )
    return next(iter(read)), handed[0]


class _OneTensor(nn.Module):
    """A module whose output is one tensor, also where `net` returns it in a dict or list."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.eval()  # converters set the modes of all inner modules to that of the outermost

    def forward(self, x: Tensor) -> Tensor:
        found = list(_tensors(self.net(x)))
        if len(found) != 1:
            raise Unsupported(f"it returns {len(found)} tensors; a part with one is timed")
        return found[0]


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (Mapping, Sequence)):
        for each in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(each)


class _Seen:
    """Collects the inputs of a module's calls: a tensor, or None for several."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.calls: list[Tensor | None] = []

    def __enter__(self) -> "_Seen":
        self.hook = self.module.register_forward_pre_hook(self._note, with_kwargs=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def _note(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = list(_tensors([*args, *kwargs.values()]))
        self.calls.append(tensors[0].clone() if len(args) == 1 and len(tensors) == 1 else None)


def _is_untrained(norm: Any) -> bool:
    """Return True if batch norm has the statistics that it begins with."""
    if norm.running_mean is None or norm.running_var is None:
        return False
    return not norm.running_mean.any() and bool((norm.running_var == 1).all())


def _calibrate(module: nn.Module, images: Tensor) -> None:
    norms = [each for each in module.modules() if isinstance(each, _NORMS) and _is_untrained(each)]
    module.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # cumulative average
        norm.train()
    if norms:
        module(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
