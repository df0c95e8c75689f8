"""Peak memory of PyTorch eager mode, simulated: the module runs on tensors without data.

Locals of a forward() and temporaries of composite operators keep memory that no graph shows.
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..graph.graph import Eager, Layer
from .names import Paths
from .reference import plain_tensors


def simulated(module: nn.Module, inputs: Sequence[torch.Tensor], layers: Sequence[Layer]) -> Eager:
    """Return the live bytes in each layer while `module` runs on the CPU, without weights and buffers.

    inputs: with shapes and dtypes as in the call. layers: of the captured graph.
    """
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        own = _on_cpu(module, fake)
        given = [torch.empty(each.shape, dtype=each.dtype) for each in inputs]
        watch = _Watch(module, own, given)
        with torch.no_grad(), _plain_on_cpu(module), watch.paths(), watch:
            functional_call(module, own, tuple(given), tie_weights=False)
    alive = tuple((name, size) for name, size in watch.alive if size)
    return Eager(_by_layer(watch.events, layers), alive)


def _on_cpu(module: nn.Module, fake: FakeTensorMode) -> dict[str, torch.Tensor]:
    """Return parameters and buffers by name as CPU tensors without data; ties stay."""
    made: dict[int, torch.Tensor] = {}
    own = {}
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    for name, tensor in named:
        if id(tensor) not in made:
            made[id(tensor)] = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu"
            )
        own[name] = made[id(tensor)]
    return own


@contextmanager
def _plain_on_cpu(module: nn.Module) -> Iterator[None]:
    """Replace tensors that are plain attributes by CPU tensors without data."""
    plain = list(plain_tensors(module))
    for owner, name, tensor in plain:
        setattr(owner, name, torch.empty(tensor.shape, dtype=tensor.dtype))
    try:
        yield
    finally:
        for owner, name, tensor in plain:
            setattr(owner, name, tensor)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that are alive after each operation.

    events: path of the running module and live bytes. alive: of each operator that wrote a storage that is
    alive at the peak, its bytes.
    """

    def __init__(
        self, module: nn.Module, own: Mapping[str, torch.Tensor], given: Sequence[torch.Tensor]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.module = module
        self.path = [""]
        self.live: dict[int, tuple[str, int]] = {}
        self.ignored = {id(tensor.untyped_storage()) for tensor in own.values()}
        self.kept = list(own.values())
        self.events: list[tuple[str, int]] = []
        self.most = 0
        self.alive: tuple[tuple[str, int], ...] = ()
        for n, tensor in enumerate(given):
            self._add(tensor, "input" if len(given) == 1 else f"input {n + 1}")

    @contextmanager
    def paths(self) -> Iterator[None]:
        """Keep track of the module that runs."""
        hooks, paths = [], Paths()
        for path, module in self.module.named_modules():
            hooks.append(module.register_forward_pre_hook(self._entering(paths.shown(path))))
            hooks.append(module.register_forward_hook(lambda *_: self.path.pop() and None, always_call=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _entering(self, path: str) -> Any:
        return lambda *_: self.path.append(path)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note what is alive after it."""
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, torch.Tensor):
                name = f"{self.path[-1]}.{func.__name__.partition('.')[0]}".lstrip(".")
                self._add(tensor, name)
        now = sum(size for _, size in self.live.values())
        self.events.append((self.path[-1], now))
        if now > self.most:
            self.most, self.alive = now, tuple(self.live.values())
        return outputs

    def _add(self, tensor: torch.Tensor, name: str) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key not in self.live and key not in self.ignored:
            self.live[key] = (name, storage.nbytes())
            weakref.finalize(storage, self.live.pop, key, None)


def reads_own_values(module: nn.Module, inputs: Sequence[torch.Tensor]) -> bool:
    """Return True if the first value that `module` reads does not depend on its inputs."""
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        own = _on_cpu(module, fake)
        given = [torch.empty(each.shape, dtype=each.dtype) for each in inputs]
        watch = _Origins(given)
        try:
            with torch.no_grad(), _plain_on_cpu(module), watch:
                functional_call(module, own, tuple(given), tie_weights=False)
        except Exception:
            return watch.own
    return False


class _Origins(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows what depends on the inputs. own: a value was read that does not."""

    def __init__(self, given: Sequence[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept = list(given)
        self.running = {id(each) for each in given}
        self.own = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note whether it depends on the inputs."""
        depends = any(id(each) in self.running for each in tree_leaves((args, kwargs or {})))
        try:
            outputs = func(*args, **(kwargs or {}))
        except DataDependentOutputException:
            self.own = not depends
            raise
        written = args[:1] if func.__name__.partition(".")[0].endswith("_") else ()
        for tensor in (*tree_leaves(outputs), *written) if depends else ():
            self.kept.append(tensor)
            self.running.add(id(tensor))
        return outputs


def _by_layer(events: Sequence[tuple[str, int]], layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return the most live bytes in each layer: of its module's stretch of operations, or of all of them."""
    stretches = [
        (path, max(size for _, size in run)) for path, run in groupby(events, lambda event: event[0])
    ]
    wanted = [(path, len(list(run))) for path, run in groupby(layers, lambda layer: layer.path)]
    if [path for path, _ in stretches] == [path for path, _ in wanted]:
        return tuple(
            size for (_, size), (_, count) in zip(stretches, wanted, strict=True) for _ in range(count)
        )
    most: dict[str, int] = {}
    for path, size in stretches:
        most[path] = max(size, most.get(path, 0))
    return tuple(most.get(layer.path, 0) for layer in layers)
