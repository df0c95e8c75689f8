"""The parts of a captured network to time: modules, and slices of its program."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Final

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..capture.export import exported, program_of
from ..capture.lower import Lowered, lower
from ..capture.module import lowered
from ..capture.reference import copy_with, module_of, running
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


def save_programs(subject: Subject, batches: Iterable[int], folder: Path) -> Subject:
    """Export the module of a subject with its weights, so that other processes can run it.

    batches: images per call, a program each. folder: an empty one. Raises InputError.
    """
    assert subject.captured is not None
    if not _has_one_image(subject):
        return subject
    for batch in batches:
        with running("measure", f"a copy of {subject.name}"):
            module = copy_with(subject.module, lambda tensor: tensor.to("cpu", copy=True)).eval()
            images = _images(subject, batch)
            _calibrate(module, images)
            torch.export.save(exported(module, [images[:batch]]), folder / _program_name(batch))
    return replace(subject, captured=replace(subject.captured, programs=str(folder)))


def _has_one_image(subject: Subject) -> bool:
    return subject.captured is not None and subject.captured.dtypes == ("float32",)


def _program_name(batch: int) -> str:
    return f"{batch}.pt2"


def _images(subject: Subject, batch: int) -> Tensor:
    """Return random inputs, at least as many as batch norm's statistics need."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return torch.randn(max(batch, _CALIBRATION), *subject.graph.inputs[0].shape)


class CapturedParts:
    """A captured network with random weights from a fixed seed, and its parts.

    Batch norm without statistics gets those of a few inputs. Raises Unsupported for what cannot be timed.
    """

    def __init__(self, subject: Subject, batch: int) -> None:
        assert subject.captured is not None
        captured = subject.captured
        if not _has_one_image(subject):
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
        self._divided: _Divided | None = None

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
        if self._divided is None:
            self._divided = _Divided(*lowered(self.net.net, [self.whole.given], self.subject.name))
        return self._divided.part(name, self.whole.given)


class ProgramParts:
    """The network of save_programs(), and its blocks. Raises Unsupported for what cannot be timed."""

    def __init__(self, subject: Subject, batch: int) -> None:
        assert subject.captured is not None
        program = torch.export.load(Path(subject.captured.programs) / _program_name(batch))
        self.subject = subject
        self.given = _images(subject, batch)[:batch]
        self.divided = _Divided(lower(program_of(program, subject.name)), program)

    def part(self, name: str) -> Part:
        """Return the network or a block, with its input in the network."""
        if name != NET and self.subject.graph.block(name) is None:
            raise Unsupported(
                "a module inside one that was given as an object is not timed; expected a block"
            )
        return self.divided.part(name, self.given)


class _Divided:
    """An exported program with weights, and what divides it."""

    def __init__(self, found: Lowered, program: ExportedProgram) -> None:
        self.graph, self.slicer = found.graph, Slicer(program)
        names = [layer.name for layer in found.graph.layers]
        inputs = zip((tensor.name for tensor in found.graph.inputs), self.slicer.users, strict=True)
        self.calls = {**dict(zip(names, found.calls, strict=True)), **dict(inputs)}

    def part(self, name: str, image: Tensor) -> Part:
        """Return the network or a block, with its input in the network for `image`."""
        if name == NET:
            layers, (given, result) = self.graph.layers, self._ends()
        elif block := self.graph.block(name):
            layers, (given, result) = block.layers, ends(self.graph, block)
        else:
            raise Unsupported("the network has other blocks with values than without")
        calls = [self.calls[layer.name] for layer in layers]
        module = self.slicer.module(calls, self.calls[given], self.calls[result])
        value = self.slicer.values(image.clone(), [self.calls[given]])[self.calls[given]]
        with torch.no_grad():
            expected = module(value.clone())
        return Part(name, module, value, expected, value)

    def _ends(self) -> tuple[str, str]:
        if len(self.graph.outputs) > 1:
            raise Unsupported(f"it returns {len(self.graph.outputs)} tensors; a part with one is timed")
        return self.graph.inputs[0].name, self.graph.outputs[0]


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
