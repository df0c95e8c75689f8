"""The parts of a captured network to time: modules, and slices of its program."""

from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Final

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..capture.calls import Flat, Tensors, seen
from ..capture.export import exported, program_of
from ..capture.lower import Lowered, lower
from ..capture.module import lowered
from ..capture.reference import copy_with, module_of, running
from ..capture.slices import Slice, Slicer
from ..device.runtimes import Unsupported
from ..graph.errors import InputError
from ..graph.graph import Block, Graph, Layer
from ..graph.parts import BACKBONE, NET, backbone_blocks, module_path, part_layers
from ..record.run import Captured, Subject
from .formats import Part, computed

DTYPES: Final = ("float32", "int64", "int32", "bool")
"""Dtypes of inputs that are timed."""
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
    if not {*subject.captured.dtypes} <= {*DTYPES}:
        return subject
    for batch in batches:
        with running("measure", f"a copy of {subject.name}"):
            module = copy_with(subject.module, lambda tensor: tensor.to("cpu", copy=True)).eval()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_SEED)
                images = _random_inputs(subject, batch)
            _calibrate(module, images)
            torch.export.save(exported(module, _first(images, batch)), folder / _program_name(batch))
    return replace(subject, captured=replace(subject.captured, programs=str(folder)))


def require_timed(dtypes: Iterable[str]) -> None:
    """Raise Unsupported if an input is of a dtype that is not timed."""
    if other := next((dtype for dtype in dtypes if dtype not in DTYPES), ""):
        raise Unsupported(f"it has an input of {other}; inputs of {', '.join(DTYPES)} are timed")


def require_constant(graph: Graph, part: str) -> None:
    """Raise Unsupported if what a part computes differs from call to call."""
    varies = dict(graph.varies)
    if why := next((varies[each.name] for each in part_layers(graph, part) if each.name in varies), ""):
        raise Unsupported(f"it {why}")


def random_input(shape: Sequence[int], dtype: str) -> Tensor:
    """Return normal floats, or integers that are 0 or 1, which every table of an embedding has."""
    if dtype == "float32":
        return torch.randn(*shape)
    return torch.randint(0, 2, tuple(shape), dtype=getattr(torch, dtype))


def _program_name(batch: int) -> str:
    return f"{batch}.pt2"


def _random_inputs(subject: Subject, batch: int) -> Tensors:
    """Return random inputs, at least as many as batch norm's statistics need."""
    assert subject.captured is not None
    count = max(batch, _CALIBRATION)
    ends = zip(subject.graph.inputs, subject.captured.dtypes, strict=True)
    return tuple(random_input((count, *tensor.shape), dtype) for tensor, dtype in ends)


def _first(images: Tensors, count: int) -> Tensors:
    return tuple(each[:count].clone() for each in images)


class CapturedParts:
    """A captured network with random weights from a fixed seed, and its parts.

    Batch norm without statistics gets those of a few inputs. Raises Unsupported for what cannot be timed.
    """

    def __init__(self, subject: Subject, batch: int) -> None:
        assert subject.captured is not None
        captured = subject.captured
        require_timed(captured.dtypes)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(_SEED)
            module = _built(captured)
            images = _random_inputs(subject, batch)
            _calibrate(module, _first(images, _CALIBRATION))
            module.eval()
            given = _first(images, batch)
            self.net = Flat(module)
            self.whole = Part(NET, self.net, given, computed(self.net, given), given)
        self.subject = subject
        self._divided: _Divided | None = None

    def part(self, name: str) -> Part:
        """Return the network, its backbone, a block, or a module, with its inputs in the network."""
        graph = self.subject.graph
        require_constant(graph, name)
        if name == NET:
            return self.whole
        if (block := graph.block(name)) is not None:
            return self._block(block) or self._slice(name)
        if name == BACKBONE and backbone_blocks(graph):
            return self._slice(name)
        return self._module(name, module_path(graph, name))

    def _block(self, block: Block) -> Part | None:
        """Return a block that is one call of a module, with the block's inputs and outputs, else None."""
        if not (path := _module_of(self.subject.graph, block)):
            return None
        _, module, given = seen(self.net.net, path, self.whole.given)
        if module is None:
            return None
        used = tuple(each.clone() for each in given)
        expected = computed(module, used, copied=False)
        read, handed = self.subject.graph.ends(block.layers)
        if (len(given), len(expected)) != (len(read), len(handed)):
            return None  # the network does not use all of them
        if not all(map(torch.equal, used, given)):
            return None  # each call would change the inputs of the next
        return Part(block.name, module, given, expected, given)

    def _module(self, name: str, path: str) -> Part:
        times, module, given = seen(self.net.net, path, self.whole.given)
        if not times:
            return self._list(name, path)
        if times != 1:
            raise Unsupported(f"the network calls {path} {times} times; a part of one call is timed")
        if module is None:
            raise Unsupported(f"the tensors that {path} reads are in a list or dict; a block is timed so")
        if getattr(module.net, "inplace", False):
            module.net = copy(module.net)
            module.net.__dict__["inplace"] = False
        return Part(name, module, given, computed(module, given), given)

    def _list(self, name: str, path: str) -> Part:
        """Return the modules inside of one that is never called, such as an nn.ModuleList."""
        try:
            return self._slice(name)
        except Unsupported:
            inside = [f"{path}.{each}" for each, _ in self.net.net.get_submodule(path).named_children()]
            found = next((each for each in inside if self.subject.graph.under(each)), "a block")
            raise Unsupported(
                f"the network never calls {path} itself, and not all its modules one after the other; "
                f"expected one of them, e.g. {found}"
            ) from None

    def _slice(self, name: str) -> Part:
        if self._divided is None:
            try:
                self._divided = _Divided(*lowered(self.net.net, self.whole.given, self.subject.name))
            except InputError as error:
                raise Unsupported(str(error)) from None
        return self._divided.part(name, self.whole.given)


class ProgramParts:
    """The network of save_programs(), and its parts. Raises Unsupported for what cannot be timed."""

    def __init__(self, subject: Subject, batch: int) -> None:
        assert subject.captured is not None
        program = torch.export.load(Path(subject.captured.programs) / _program_name(batch))
        self.subject = subject
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            self.given = _first(_random_inputs(subject, batch), batch)
        self.divided = _Divided(lower(program_of(program, subject.name)), program)

    def part(self, name: str) -> Part:
        """Return the network, its backbone, a block, or a module, with its inputs in the network."""
        require_constant(self.subject.graph, name)
        return self.divided.part(name, self.given)


class _Divided:
    """An exported program with weights, and what divides it."""

    def __init__(self, found: Lowered, program: ExportedProgram) -> None:
        self.graph, self.slicer = found.graph, Slicer(program)
        names = [layer.name for layer in found.graph.layers]
        inputs = zip((tensor.name for tensor in found.graph.inputs), self.slicer.users, strict=True)
        self.calls = {**dict(zip(names, found.calls, strict=True)), **dict(inputs)}

    def part(self, name: str, images: Tensors) -> Part:
        """Return the network or a part, with its inputs in the network for `images`."""
        layers, given, results = ends(self.graph, name)
        named = (layer.name for layer in layers)
        part = Slice(*([self.calls[each] for each in names] for names in (named, given, results)))
        try:
            module = self.slicer.module(part)
            values, there = self.slicer.values(images, part)
        except InputError as error:
            raise Unsupported(str(error)) from None
        except KeyError as error:
            raise Unsupported(f"it needs {error.args[0]} of the network, which is in no block") from None
        expected = computed(module, values)
        if not all(map(_close, expected, there)):
            raise Unsupported("it writes to memory of the network, and computes something else by itself")
        return Part(name, module, values, expected, values)


def _close(ours: Tensor, theirs: Tensor) -> bool:
    ours, theirs = ours.double(), theirs.double()
    return torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()), equal_nan=True)


def _module_of(graph: Graph, block: Block) -> str:
    """Return the path of the module whose call is the block, "" if it is not one call."""
    for path in block.modules:
        if graph.under(path) == block.layers:
            return path
    return ""


def ends(graph: Graph, name: str) -> tuple[tuple[Layer, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the layers of the network or a part, the tensors that it reads, and those that it hands on.

    Raises Unsupported if the network has no such part, or not in one piece, or it neither reads nor hands on
    a tensor.
    """
    if name == NET:
        return graph.layers, tuple(tensor.name for tensor in graph.inputs), graph.outputs
    layers = part_layers(graph, name)
    if not layers:
        raise Unsupported("the network has other blocks with values than without")
    first = next(n for n, layer in enumerate(graph.layers) if layer.name == layers[0].name)
    if graph.layers[first : first + len(layers)] != layers:
        raise Unsupported("other modules run between its layers; a part of one piece is timed")
    read, handed = graph.ends(layers)
    if not read or not handed:
        raise Unsupported(f"it reads {len(read)} tensors and hands on {len(handed)}; expected at least one")
    return layers, read, handed


def _is_untrained(norm: Any) -> bool:
    """Return True if batch norm has the statistics that it begins with."""
    if norm.running_mean is None or norm.running_var is None:
        return False
    return not norm.running_mean.any() and bool((norm.running_var == 1).all())


def _calibrate(module: nn.Module, images: Tensors) -> None:
    norms = [each for each in module.modules() if isinstance(each, _NORMS) and _is_untrained(each)]
    module.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # cumulative average
        norm.train()
    if norms:
        module(*images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
